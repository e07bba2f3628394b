package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/node"
)

// pollInterval is the shortest time between two inspections of a starting container, which are
// costly.
const pollInterval = 50 * time.Millisecond

// supervisor starts the container of one server, and restarts it at the same address.
type supervisor struct {
	node.CPU
	box       box
	workspace *server.Workspace
	endpoint  atomic.Pointer[server.Endpoint] // a Restart may change the password
	noGate    bool                            // the server cannot change its port while it runs
}

func (s *supervisor) Endpoint() server.Endpoint { return *s.endpoint.Load() }

func (s *supervisor) Addr() string { return server.Loopback(s.box.port) }

// launch starts the container, checks that it is reachable on loopback only, and waits for its own
// answer at the endpoint, which is its address or its gate. It returns as many connections as it
// was asked to reserve, or fewer.
func (s *supervisor) launch(ctx context.Context, e server.Endpoint, reserve int) ([]net.Conn, error) {
	if err := s.box.start(ctx); err != nil {
		return nil, err
	}
	if err := s.checkNetwork(ctx); err != nil {
		return nil, err
	}
	return node.Launched{Endpoint: e, Alive: s.box.died, Poll: throttled(s.box.died), Ours: s.isOurs}.Await(ctx,
		reserve)
}

// throttled calls ask at most once per pollInterval.
func throttled(ask func(context.Context) error) func(context.Context) error {
	var asked time.Time
	return func(ctx context.Context) error {
		if time.Since(asked) < pollInterval {
			return nil
		}
		asked = time.Now()
		return ask(ctx)
	}
}

// isOurs compares the file that the answering server was started with.
func (s *supervisor) isOurs(info map[string]string) error {
	if info["config_file"] != s.box.conf() {
		return node.PortTaken(s.box.port)
	}
	return nil
}

// checkNetwork checks the addresses before they are dialled.
func (s *supervisor) checkNetwork(ctx context.Context) error {
	found, err := s.box.inspect(ctx)
	if err != nil {
		return s.box.fail("inspect", err)
	}
	wrong := s.box.network.check(found, s.box.port, s.box.gate)
	if wrong == nil {
		if s.box.network == sharedNetwork { // on this very machine: process numbers are this kernel's
			s.CPU.Watch(found.State.Pid)
		}
		return nil
	}
	// A container that has ended already publishes nothing. The reason in its log is more useful.
	if err := s.box.died(ctx); err != nil {
		return err
	}
	return fmt.Errorf("container %s %w", s.box.name, wrong)
}

// relaunch starts the container, which is down, and reserves connections for the next Control:
// through the gate, or without one by dialling fast.
func (s *supervisor) relaunch(ctx context.Context, c server.Config) error {
	endpoint := s.Endpoint().WithPassword(c.Password())
	s.endpoint.Store(&endpoint)
	if !s.noGate {
		err := s.launchGated(ctx, c)
		if !errors.Is(err, node.ErrNoGate) {
			return err
		}
		s.noGate = true
		if err := s.box.stop(ctx); err != nil {
			return err
		}
	}
	port, _ := s.box.inside()
	if err := s.box.configure(ctx, c, port); err != nil {
		return err
	}
	connections, err := s.launch(ctx, endpoint, server.ControlConnections)
	endpoint.Reserve(connections)
	return err
}

func (s *supervisor) launchGated(ctx context.Context, c server.Config) error {
	port, gate := s.box.inside()
	if err := s.box.configure(ctx, c, gate); err != nil {
		return err
	}
	connections, err := s.launch(ctx, server.LocalEndpoint(s.box.gate, c.Password()), server.ControlConnections)
	if err != nil {
		return err
	}
	if err = node.OpenGate(ctx, connections, port); err == nil {
		_, err = node.AwaitPing(ctx, s.Endpoint(), 0, throttled(s.box.died))
	}
	if err != nil {
		node.CloseAll(connections)
		return err
	}
	s.Endpoint().Reserve(connections)
	return nil
}

// awaitDown waits until the address accepts no connections: Docker's proxy releases the port
// shortly after the container's end.
func (s *supervisor) awaitDown(ctx context.Context) error {
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
	return fmt.Errorf("%s still accepts connections 5 s after the container has ended", s.Addr())
}

// remove removes the container in any state, even if ctx has ended.
func (s *supervisor) remove(ctx context.Context) error {
	s.Endpoint().Reserve(nil)
	if err := removeContainer(context.WithoutCancel(ctx), s.box.docker, s.box.name); err != nil {
		return err
	}
	s.workspace.Leave(s.box.name)
	return nil
}
