package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Console is implemented by servers against which redis-cli can be run as an operator would run it.
type Console interface {
	// RedisCLI runs redis-cli with these arguments and copies both of its output streams to w,
	// until it ends or ctx does. Neither is an error, and neither is redis-cli's exit code, which
	// is 0 even for a refusal (redis-cli 7.0). It returns the command as typed. In a container
	// redis-cli runs there, and its process may outlive ctx: it ends with its connection, or with
	// the container.
	RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (typed string, err error)
}

// ErrNoConsole reports that there is no redis-cli to run.
var ErrNoConsole = errors.New("no redis-cli found")

// ConsoleBinaries are the names under which packages install redis-cli.
var ConsoleBinaries = []string{"redis-cli", "valkey-cli"}

// RedisCLI runs the first redis-cli on PATH.
func (s *addressServer) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	return RunConsole(ctx, w, s.endpoint, "", arguments)
}

// RunConsole implements Console with the redis-cli in the folder beside, or else the first on PATH.
// An empty folder means PATH only.
func RunConsole(ctx context.Context, w io.Writer, e Endpoint, beside string, arguments []string) (string, error) {
	binary, err := findConsole(beside)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return "", err
	}
	connect := []string{"-h", host, "-p", port}
	if e.TLS != nil {
		connect = append(connect, "--tls")
	}
	if e.Username != "" {
		connect = append(connect, "--user", e.Username)
	}
	all := append(connect, arguments...)
	cmd := exec.CommandContext(ctx, binary, all...)
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = time.Second
	if e.Password != "" {
		cmd.Env = append(os.Environ(), e.ConsoleEnv()...)
	}
	typed := strings.Join(append([]string{filepath.Base(binary)}, all...), " ")
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && ctx.Err() == nil && !errors.As(err, &exit) {
		return typed, fmt.Errorf("run %s: %w", typed, err)
	}
	return typed, nil
}

func findConsole(beside string) (string, error) {
	for _, name := range ConsoleBinaries {
		if path := filepath.Join(beside, name); beside != "" && Executable(path) {
			return path, nil
		}
	}
	for _, name := range ConsoleBinaries {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: %s is not on PATH", ErrNoConsole, strings.Join(ConsoleBinaries, " or "))
}

// Executable reports whether the path is a file that can be executed.
func Executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// ConsoleEnv returns the environment that gives redis-cli the password: other users can read a
// process's arguments.
func (e Endpoint) ConsoleEnv() []string {
	if e.Password == "" {
		return nil
	}
	return []string{"REDISCLI_AUTH=" + e.Password}
}
