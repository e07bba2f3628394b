//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/node"
)

// supervisor starts the processes of one server, one after the other, at one address.
type supervisor struct {
	node.CPU
	program   program
	port      int
	workspace *server.Workspace
	endpoint  atomic.Pointer[server.Endpoint] // a Restart may change the password
	life      *life                           // nil: down
	noGate    bool                            // the server cannot change its port while it runs
}

func (s *supervisor) Endpoint() server.Endpoint { return *s.endpoint.Load() }

func (s *supervisor) Addr() string { return server.Loopback(s.port) }

// launch starts a process that listens on the port, and waits until it answers there. After an
// error no process is left. It returns as many connections as it was asked to reserve, or fewer.
func (s *supervisor) launch(ctx context.Context, c server.Config, port, reserve int) ([]net.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := s.program.configure(c, port); err != nil {
		return nil, err
	}
	l, err := s.program.exec()
	if err != nil {
		return nil, err
	}
	s.life = l
	var connections []net.Conn
	err = s.workspace.RecordProcess(l.pid())
	if err != nil && l.ended(ctx, 100*time.Millisecond) {
		err = s.died(ctx) // the process ended before it could be recorded, and this says why
	} else if err == nil {
		connections, err = node.Launched{
			Endpoint: server.LocalEndpoint(port, c.Password()), Alive: s.died, Poll: s.died, Ours: s.isOurs,
		}.Await(ctx, reserve)
	}
	if err != nil {
		return nil, errors.Join(err, s.end(ctx, syscall.SIGKILL, 0))
	}
	return connections, nil
}

func (s *supervisor) died(ctx context.Context) error { return s.life.died(ctx, s.port) }

// isOurs compares the process that answers with the one that was started.
func (s *supervisor) isOurs(info map[string]string) error {
	pid, err := strconv.Atoi(info["process_id"])
	if err != nil {
		return fmt.Errorf("INFO of %s has no process_id: %w", s.Addr(), err)
	}
	if !s.life.leads(pid) {
		return node.PortTaken(s.port)
	}
	s.CPU.Watch(pid)
	return nil
}

// relaunch starts a process and reserves connections for the next Control: through a gate, or
// without one by dialling fast.
func (s *supervisor) relaunch(ctx context.Context, c server.Config) error {
	endpoint := s.Endpoint().WithPassword(c.Password())
	s.endpoint.Store(&endpoint)
	if !s.noGate {
		err := s.launchGated(ctx, c)
		if !errors.Is(err, node.ErrNoGate) {
			return err
		}
		s.noGate = true
	}
	connections, err := s.launch(ctx, c, s.port, server.ControlConnections)
	endpoint.Reserve(connections)
	return err
}

func (s *supervisor) launchGated(ctx context.Context, c server.Config) error {
	gate, err := node.FreePort()
	if err != nil {
		return err
	}
	connections, err := s.launch(ctx, c, gate, server.ControlConnections)
	if err != nil {
		return err
	}
	if err = node.OpenGate(ctx, connections, s.port); err == nil {
		_, err = node.AwaitPing(ctx, s.Endpoint(), 0, s.died)
	}
	if err != nil {
		node.CloseAll(connections)
		return errors.Join(err, s.end(ctx, syscall.SIGKILL, 0))
	}
	s.Endpoint().Reserve(connections)
	return nil
}

// end stops the process, as life.stop does, and closes the reserved connections. It is no error if
// the server is down.
func (s *supervisor) end(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	if s.life == nil {
		return nil
	}
	if err := s.life.stop(ctx, sig, grace); err != nil {
		return err
	}
	s.life = nil
	s.Endpoint().Reserve(nil)
	return nil
}

// remove removes the folder, unless a process is left: then the workspace does not close.
func (s *supervisor) remove() error {
	if s.life != nil {
		return nil
	}
	if err := os.RemoveAll(s.program.dir); err != nil {
		return err
	}
	s.workspace.Leave(s.program.dir)
	return nil
}
