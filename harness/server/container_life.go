package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// act does one thing to the container, unless it is gone for good.
func (s *containerServer) act(verb string, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("%s: the server at %s is stopped for good", verb, s.addr())
	}
	if err := do(); err != nil {
		return s.trouble(verb, err)
	}
	return nil
}

func (s *containerServer) Kill(ctx context.Context) error {
	return s.act("kill", func() error {
		if _, err := s.docker.ContainerKill(ctx, s.name, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
			return err
		}
		s.Endpoint().reserved.put(nil)
		return s.down(ctx)
	})
}

// down waits until nobody answers at the address: Docker's proxy lets go of the port a little after the container's end.
func (s *containerServer) down(ctx context.Context) error {
	for range 1000 {
		connection, err := s.Endpoint().Dial(ctx)
		if err != nil {
			return ctx.Err()
		}
		connection.Close()
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("%s still accepts connections 5 s after the end of the container", s.addr())
}

func (s *containerServer) Pause(ctx context.Context) error {
	return s.act("pause", func() error {
		_, err := s.docker.ContainerPause(ctx, s.name, client.ContainerPauseOptions{})
		return err
	})
}

func (s *containerServer) Resume(ctx context.Context) error {
	return s.act("unpause", func() error {
		_, err := s.docker.ContainerUnpause(ctx, s.name, client.ContainerUnpauseOptions{})
		return err
	})
}

func (s *containerServer) Restart(ctx context.Context, c Config) error {
	return s.act("restart", func() error {
		found, err := s.docker.ContainerInspect(ctx, s.name, client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		if found.Container.State.Paused {
			// A paused process does not hear SIGTERM; Docker would wait for it and then kill it.
			if _, err := s.docker.ContainerUnpause(ctx, s.name, client.ContainerUnpauseOptions{}); err != nil {
				return err
			}
		}
		if err := s.terminate(ctx, found.Container); err != nil {
			return err
		}
		s.Endpoint().reserved.put(nil)
		return s.relaunch(ctx, c)
	})
}

// within returns the limit, or what is left of the context where that is less.
func within(ctx context.Context, limit time.Duration) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, time.Until(deadline))
	}
	return limit
}

// terminate ends the container in good order, as docker stop does, unless Redis says in its log
// that it will not end: then it goes on, and the error is ErrWillNotStop. What has not ended within
// the time that it has is killed.
func (s *containerServer) terminate(ctx context.Context, found container.InspectResponse) error {
	if found.State.Running {
		signal := cmp.Or(found.Config.StopSignal, "SIGTERM")
		asked := time.Now().UTC().Format(time.RFC3339Nano)
		if _, err := s.docker.ContainerKill(ctx, s.name, client.ContainerKillOptions{Signal: signal}); err != nil {
			return err
		}
		if err := s.refuses(ctx, asked); err != nil {
			return err
		}
	}
	return s.container.Stop(ctx, new(time.Duration))
}

// refuses waits until the container has ended, or its log, from a time on, says that it will not.
// An error is ErrWillNotStop; nil is also of a container that does neither within the time that it
// has.
func (s *containerServer) refuses(ctx context.Context, since string) error {
	for end := time.Now().Add(within(ctx, termGrace)); time.Now().Before(end); {
		found, err := s.docker.ContainerInspect(ctx, s.name, client.ContainerInspectOptions{})
		if err != nil || !found.Container.State.Running {
			return err
		}
		output, err := s.log(ctx, since)
		if err != nil {
			return err
		}
		if why := refusalToStop(output); why != "" {
			return fmt.Errorf("%w: %s", ErrWillNotStop, why)
		}
		select {
		case <-time.After(logInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *containerServer) revive(ctx context.Context, c Config) error {
	return s.act("start", func() error {
		port, _ := s.inside()
		if err := s.configure(ctx, c, port); err != nil {
			return err
		}
		_, err := s.launch(ctx, s.Endpoint(), 0)
		return err
	})
}

func (s *containerServer) Log(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return bytes.Clone(s.finalLog), nil
	}
	return s.log(ctx, "")
}

// log reads what Docker has kept of all lives, or from a time on, at most its first logLimit bytes.
func (s *containerServer) log(ctx context.Context, since string) ([]byte, error) {
	stream, err := s.docker.ContainerLogs(ctx, s.name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Since: since})
	if err != nil {
		return nil, s.trouble("read the log of", err)
	}
	defer stream.Close()
	var output bytes.Buffer
	if _, err := stdcopy.StdCopy(&output, &output, io.LimitReader(stream, logLimit)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, s.trouble("read the log of", err)
	}
	return output.Bytes(), nil
}

// Stop kills: nothing of the container is kept, so there is nothing to save.
func (s *containerServer) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	// A log that cannot be read must not keep the container from being removed.
	s.finalLog, _ = s.log(cleanup, "")
	if err := s.remove(cleanup); err != nil {
		return err
	}
	s.stopped = true
	return s.docker.Close()
}

// remove kills and removes the container with its volumes, in any state. That there is none is no error.
func (s *containerServer) remove(ctx context.Context) error {
	s.Endpoint().reserved.put(nil)
	if err := removeContainer(context.WithoutCancel(ctx), s.docker, s.name); err != nil {
		return err
	}
	s.workspace.leave(s.name)
	return nil
}

// removeContainer is shared with Sweep.
func removeContainer(ctx context.Context, docker *client.Client, name string) error {
	ctx, cancel := Within(ctx, cleanupLimit)
	defer cancel()
	_, err := docker.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return dockerTrouble("remove", name, err)
}
