package runner

import (
	"context"
	"fmt"

	"github.com/lockjam/lockjam/harness/faults"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// host is the server of an arm, and how it is reached.
type host struct {
	server  server.Server
	config  server.Config
	control *server.Control
	network *faults.Proxy // between the swarm and its server; nil where the trigger needs none

	prefix           string // of every key
	allowDestructive bool
	undo             []func(context.Context) error // on a server that lockjam did not start
}

// lockPattern is the runbook's on a server of our own, and stays with the run's
// own keys on one that lockjam did not start.
func (h *host) lockPattern() string {
	if h.attached() {
		return swarm.LockPattern(h.prefix)
	}
	return "lock:*"
}

// reconfigurable says why the server's settings must stay as they are; nil if they
// need not.
func (h *host) reconfigurable() error {
	if h.attached() && !h.allowDestructive {
		return fmt.Errorf("%w: its settings are changed only with --allow-destructive", server.ErrNotOurs)
	}
	return nil
}

// connections are the ones that are watched over: the control connections, and a
// canary that needs none.
func (h *host) connections() sampler.Connections {
	e := h.server.Endpoint()
	over := sampler.Connections{
		Client: h.control.Sampler, Listener: sampler.NewListener(h.control.Monitor, e, server.MonitorName),
		Dial: e.Dial,
	}
	if e.TLS != nil {
		over.Dial, over.NoCanary = nil, sampler.NoCanaryOverTLS
	}
	return over
}

// clientName begins the name of every client of the swarm's in CLIENT LIST. On a server that
// lockjam did not start it has the run's, for another lockjam may be at work there.
func (h *host) clientName() string {
	if h.attached() {
		return "lockjam-" + h.prefix
	}
	return "lockjam"
}

// ours begins the names of the run's own clients where there may be others; "" on a server of the run's own.
func (h *host) ours() string {
	if !h.attached() {
		return ""
	}
	return h.clientName() + "-"
}

// attached reports whether lockjam did not start the server.
func (h *host) attached() bool { return h.server.Info().Kind == server.KindAddress }

// reconnect opens new control connections where those that there were are closed: what
// was cut short in the middle of a command took its connection with it.
func (h *host) reconnect(ctx context.Context) error {
	was := h.control
	if was.Admin.Ping(ctx).Err() == nil {
		return nil
	}
	control, err := server.OpenControl(ctx, h.server.Endpoint())
	if err != nil {
		return err
	}
	_ = was.Close()
	h.control = control
	return nil
}

// shards are the nodes of a cluster, the one that is watched first; none of another
// server.
func (h *host) shards() []server.Endpoint {
	if cluster, ok := h.server.(server.Sharded); ok {
		return cluster.Shards()
	}
	return nil
}
