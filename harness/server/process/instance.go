//go:build unix

// Package process starts a Redis as a process of this machine, on 127.0.0.1.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/node"
)

// stopGrace bounds the time that a server may take to end after SIGTERM when its data are
// discarded.
const stopGrace = 3 * time.Second

// instance is a server that runs as a process.
type instance struct {
	supervisor

	mu       sync.Mutex
	stopped  bool
	finalLog []byte // what Log returns after Stop
}

// Start starts the first server on PATH, redis-server or valkey-server, on 127.0.0.1 only. It fails
// with ErrUnavailable if there is neither, and with the reason from the server's log if the server
// does not come up. A topology of several nodes is several processes.
func Start(ctx context.Context, spec server.Spec) (server.Server, error) {
	binary, err := Find()
	if err != nil {
		return nil, err
	}
	return Starter(binary)(ctx, spec)
}

// Starter returns a starter like Start for the program at a path.
func Starter(binary string) server.Starter {
	return func(ctx context.Context, spec server.Spec) (server.Server, error) {
		return node.Start(ctx, spec, func(ctx context.Context, spec server.Spec, flags ...string) (node.Node, error) {
			return startOne(ctx, spec, binary, flags)
		})
	}
}

func startOne(ctx context.Context, spec server.Spec, binary string, flags []string) (node.Node, error) {
	return node.WithPort(spec.Port, func(port int) (node.Node, error) {
		if spec.Port != 0 {
			if err := node.ProbePort(port); err != nil {
				return nil, err
			}
		}
		return startOn(ctx, spec, binary, flags, port)
	})
}

func startOn(ctx context.Context, spec server.Spec, binary string, flags []string, port int) (node.Node, error) {
	dir, err := spec.Workspace.Folder(spec.Name)
	if err != nil {
		return nil, err
	}
	s := &instance{supervisor: supervisor{program: program{binary, flags, dir}, port: port, workspace: spec.Workspace}}
	endpoint := server.LocalEndpoint(port, spec.Config.Password())
	s.endpoint.Store(&endpoint)
	s.workspace.Enter(dir)
	if _, err := s.launch(ctx, spec.Config, port, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s for %s: %w", filepath.Base(binary), spec.Name, err), s.remove())
	}
	return s, nil
}

func (s *instance) Info() server.Info {
	return server.Info{Kind: server.KindProcess, Binary: s.program.binary, Addr: s.Addr()}
}

// running returns the process, or an error if there is none.
func (s *instance) running() (*life, error) {
	switch {
	case s.stopped:
		return nil, fmt.Errorf("the server at %s has been stopped", s.Addr())
	case s.life == nil:
		return nil, fmt.Errorf("the server at %s is down", s.Addr())
	case s.life.ended(context.Background(), 0):
		return nil, fmt.Errorf("the server at %s has ended unexpectedly (%v): %s",
			s.Addr(), s.life.command.ProcessState, server.LastWords(s.life.output()))
	}
	return s.life, nil
}

func (s *instance) Kill(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.running(); err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	return s.end(ctx, syscall.SIGKILL, server.KillGrace)
}

func (s *instance) Pause(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.running()
	if err == nil {
		err = l.pause(ctx)
	}
	if err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	return nil
}

func (s *instance) Resume(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.running()
	if err == nil {
		err = l.kill(syscall.SIGCONT)
	}
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

func (s *instance) Restart(ctx context.Context, c server.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("restart: the server at %s has been stopped", s.Addr())
	}
	var err error
	if s.life != nil {
		// A server that refuses to stop keeps running.
		if err = s.life.terminate(ctx); err == nil {
			err = s.end(ctx, syscall.SIGTERM, 0)
		}
	}
	if err == nil {
		err = s.relaunch(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("restart the server at %s: %w", s.Addr(), err)
	}
	return nil
}

func (s *instance) Revive(ctx context.Context, c server.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.life != nil {
		return errors.New("the server is not down")
	}
	_, err := s.launch(ctx, c, s.port, 0)
	return err
}

func (s *instance) Log(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return bytes.Clone(s.finalLog), nil
	}
	return readTail(s.program.logPath(), 0)
}

func (s *instance) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	if err := s.end(ctx, syscall.SIGTERM, stopGrace); err != nil {
		return fmt.Errorf("stop the server at %s: %w", s.Addr(), err)
	}
	// An unreadable log must not prevent the removal of the rest.
	s.finalLog, _ = readTail(s.program.logPath(), 0)
	if err := s.remove(); err != nil {
		return fmt.Errorf("stop the server at %s: %w", s.Addr(), err)
	}
	s.stopped = true
	return nil
}

// RedisCLI runs the redis-cli that was installed with the server, or else the first on PATH.
func (s *instance) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	return server.RunConsole(ctx, w, s.Endpoint(), filepath.Dir(s.program.binary), arguments)
}
