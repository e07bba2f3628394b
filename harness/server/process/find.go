package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

// Find returns the path of the first server on PATH, folder by folder. The error says what to
// install.
func Find() (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, name := range server.Binaries {
			// Relative folders are skipped, as in package os/exec: their content depends on the
			// working folder.
			if path := filepath.Join(dir, name); filepath.IsAbs(dir) && server.Executable(path) {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%w: neither redis-server nor valkey-server is on PATH: install one (%s)",
		server.ErrUnavailable, server.InstallAdvice)
}

// versionLimit bounds the call of a program with --version.
const versionLimit = 5 * time.Second

// Check returns the absolute path of a program that the user has named. Its error wraps
// ErrUnavailable unless the program's answer to --version is that of a server.
func Check(ctx context.Context, path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("%w: process: has no program: use process:BINARY, or process for the first server on PATH",
			server.ErrUsage)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", server.ErrUnavailable, err)
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		return "", fmt.Errorf("%w: process:%s: %w", server.ErrUnavailable, path, errors.Unwrap(err))
	case info.IsDir() || !server.Executable(path):
		return "", fmt.Errorf("%w: process:%s: not an executable file", server.ErrUnavailable, path)
	}
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	command := exec.CommandContext(ctx, path, "--version")
	command.WaitDelay = time.Second
	if output, err := command.Output(); err != nil || !bytes.Contains(output, []byte(" server v=")) {
		return "", fmt.Errorf("%w: process:%s: its answer to --version is not that of a Redis or Valkey server",
			server.ErrUnavailable, path)
	}
	return path, nil
}
