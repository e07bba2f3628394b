package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/client"

	"github.com/lockjam/lockjam/harness/server"
)

// instance is a server in a container of its own.
type instance struct {
	supervisor

	mu       sync.Mutex
	stopped  bool
	finalLog []byte // what Log returns after Stop
}

func (s *instance) Info() server.Info {
	return server.Info{Kind: server.KindContainer, Image: s.box.image, Addr: s.Addr(), Network: string(s.box.network)}
}

// act performs one action on the container, unless it is stopped for good.
func (s *instance) act(verb string, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("%s: the server at %s has been stopped", verb, s.Addr())
	}
	if err := do(); err != nil {
		return s.box.fail(verb, err)
	}
	return nil
}

func (s *instance) Kill(ctx context.Context) error {
	return s.act("kill", func() error {
		_, err := s.box.docker.ContainerKill(ctx, s.box.name, client.ContainerKillOptions{Signal: "SIGKILL"})
		if err != nil {
			return err
		}
		s.Endpoint().Reserve(nil)
		return s.awaitDown(ctx)
	})
}

func (s *instance) Pause(ctx context.Context) error {
	return s.act("pause", func() error {
		_, err := s.box.docker.ContainerPause(ctx, s.box.name, client.ContainerPauseOptions{})
		return err
	})
}

func (s *instance) Resume(ctx context.Context) error {
	return s.act("unpause", func() error { return s.unpause(ctx) })
}

func (s *instance) unpause(ctx context.Context) error {
	_, err := s.box.docker.ContainerUnpause(ctx, s.box.name, client.ContainerUnpauseOptions{})
	return err
}

func (s *instance) Restart(ctx context.Context, c server.Config) error {
	return s.act("restart", func() error {
		found, err := s.box.inspect(ctx)
		if err != nil {
			return err
		}
		if found.State.Paused {
			// A paused process does not handle SIGTERM; Docker would wait for it and then kill it.
			if err := s.unpause(ctx); err != nil {
				return err
			}
		}
		if err := s.box.terminate(ctx, found); err != nil {
			return err
		}
		s.Endpoint().Reserve(nil)
		return s.relaunch(ctx, c)
	})
}

func (s *instance) Revive(ctx context.Context, c server.Config) error {
	return s.act("start", func() error {
		port, _ := s.box.inside()
		if err := s.box.configure(ctx, c, port); err != nil {
			return err
		}
		_, err := s.launch(ctx, s.Endpoint(), 0)
		return err
	})
}

func (s *instance) Log(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return bytes.Clone(s.finalLog), nil
	}
	return s.box.log(ctx, "")
}

// Stop kills the container: nothing of it is kept, so there is nothing to save.
func (s *instance) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	// An unreadable log must not prevent the removal of the container.
	s.finalLog, _ = s.box.log(cleanup, "")
	if err := s.remove(cleanup); err != nil {
		return err
	}
	s.stopped = true
	return s.box.docker.Close()
}

// RedisCLI runs the redis-cli of the image.
func (s *instance) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	port, _ := s.box.inside()
	for _, name := range server.ConsoleBinaries {
		command := append([]string{name, "-p", strconv.Itoa(port)}, arguments...)
		typed := strings.Join(command, " ")
		err := s.box.exec(ctx, w, s.Endpoint().ConsoleEnv(), command)
		if errors.Is(err, server.ErrNoConsole) {
			continue
		}
		return typed, err
	}
	return "", fmt.Errorf("%w: not in the image %s", server.ErrNoConsole, s.box.image)
}
