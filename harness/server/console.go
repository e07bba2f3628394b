package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// Console is offered by a server that redis-cli can be run against as an operator would run it.
type Console interface {
	// RedisCLI runs redis-cli with these arguments and copies what it prints, on both streams, to w, until it ends or ctx does;
	// neither is an error, and nor is redis-cli's exit code, which is 0 for a refusal too (redis-cli 7.0). It returns the
	// command as it was typed. In a container redis-cli runs there, and its process may outlive ctx: it ends with its
	// connection, or with the container.
	RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (typed string, err error)
}

// ErrNoConsole says that there is no redis-cli to run.
var ErrNoConsole = errors.New("no redis-cli to run")

// The names under which packages install it.
var consoleBinaries = []string{"redis-cli", "valkey-cli"}

// RedisCLI runs the one that was installed with the server, or else the one on PATH.
func (s *processServer) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	return runConsole(ctx, w, s.Endpoint(), filepath.Dir(s.binary), arguments)
}

// RedisCLI runs the one on PATH.
func (s *addressServer) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	return runConsole(ctx, w, s.endpoint, "", arguments)
}

func runConsole(ctx context.Context, w io.Writer, e Endpoint, beside string, arguments []string) (string, error) {
	binary, err := findConsole(beside)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return "", err
	}
	where := []string{"-h", host, "-p", port}
	if e.TLS != nil {
		where = append(where, "--tls")
	}
	if e.Username != "" {
		where = append(where, "--user", e.Username)
	}
	all := append(where, arguments...)
	cmd := exec.CommandContext(ctx, binary, all...)
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = time.Second
	if e.Password != "" {
		cmd.Env = append(os.Environ(), consolePassword(e)...)
	}
	typed := strings.Join(append([]string{filepath.Base(binary)}, all...), " ")
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && ctx.Err() == nil && !errors.As(err, &exit) {
		return typed, fmt.Errorf("run %s: %w", typed, err)
	}
	return typed, nil
}

func findConsole(beside string) (string, error) {
	for _, name := range consoleBinaries {
		if path := filepath.Join(beside, name); beside != "" && executable(path) {
			return path, nil
		}
	}
	for _, name := range consoleBinaries {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: %s is not on PATH", ErrNoConsole, strings.Join(consoleBinaries, " or "))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// RedisCLI runs the image's own.
func (s *containerServer) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	port, _ := s.inside()
	for _, name := range consoleBinaries {
		command := append([]string{name, "-p", strconv.Itoa(port)}, arguments...)
		typed := strings.Join(command, " ")
		err := s.exec(ctx, w, command)
		if errors.Is(err, ErrNoConsole) {
			continue
		}
		return typed, err
	}
	return "", fmt.Errorf("%w: the image %s has none", ErrNoConsole, s.image)
}

// exec runs a command in the container and copies what it prints until it ends or ctx does.
func (s *containerServer) exec(ctx context.Context, w io.Writer, command []string) error {
	created, err := s.docker.ExecCreate(ctx, s.name, client.ExecCreateOptions{
		Cmd: command, AttachStdout: true, AttachStderr: true, Env: consolePassword(s.Endpoint()),
	})
	if err != nil {
		return s.trouble("run "+command[0]+" in", err)
	}
	attached, err := s.docker.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		if strings.Contains(err.Error(), "executable file not found") {
			return ErrNoConsole
		}
		return s.trouble("run "+command[0]+" in", err)
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	said := &programOutput{w: w}
	_, err = stdcopy.StdCopy(said, said, attached.Reader)
	if said.missing {
		return ErrNoConsole
	}
	if err != nil && ctx.Err() == nil {
		return s.trouble("read the output of "+command[0]+" in", err)
	}
	return nil
}

// consolePassword is for the environment: an argument could be read by everybody.
func consolePassword(e Endpoint) []string {
	if e.Password == "" {
		return nil
	}
	return []string{"REDISCLI_AUTH=" + e.Password}
}

// programOutput passes on what a program prints. That a program is not there Docker says in its stead, in one piece (engine
// 20.10; newer ones refuse to begin): nobody is to take that for what redis-cli had to say.
type programOutput struct {
	w       io.Writer
	begun   bool
	missing bool
}

func (o *programOutput) Write(p []byte) (int, error) {
	if !o.begun {
		o.begun = true
		o.missing = bytes.HasPrefix(p, []byte("OCI runtime exec failed")) && bytes.Contains(p, []byte("executable file not found"))
	}
	if o.missing {
		return len(p), nil
	}
	return o.w.Write(p)
}
