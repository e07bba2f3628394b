// Package server provides the Redis that a run works against.
//
// A [Starter] returns a [Server]. Package process starts one as a process of this machine, package
// container starts one in Docker, and [Attach] dials one that already runs and is not lockjam's.
// Package node holds what the first two have in common.
//
// Everything that is started belongs to a [Workspace], so that [Sweep] can remove what a run left
// behind that was killed with SIGKILL. [Control] holds the connections that are opened before the
// swarm and never need another slot.
package server

import (
	"context"
	"time"
)

// DefaultImage is the official image that is used unless another is named.
const DefaultImage = "redis:7.4-alpine"

// LocalImage is the image that scripts/setup.sh builds from an installed redis-server where no
// registry can be reached.
const LocalImage = "lockjam-redis:local"

// The kinds of server, as the flag --server names them and [Info] records them.
const (
	KindAuto      = "auto"
	KindContainer = "container"
	KindProcess   = "process"
	KindAddress   = "address"
)

// Binaries are the names of the server program on PATH and in images. In a folder that has both,
// the first is taken.
var Binaries = []string{"redis-server", "valkey-server"}

// Info describes a server in the record of a run.
type Info struct {
	Kind   string `json:"kind"`             // container, process or address
	Image  string `json:"image,omitempty"`  // container only
	Binary string `json:"binary,omitempty"` // process only: the path of the server program
	Addr   string `json:"addr,omitempty"`   // host:port

	// container only: shared with this machine, or published through Docker's proxy
	Network string `json:"network,omitempty"`

	Topology Topology `json:"topology,omitempty"` // where there is more than one node
}

// Spec is what a Starter starts.
type Spec struct {
	Config    Config     // redis.conf, without port, bind and dir, which the starter adds
	Image     string     // container only
	Workspace *Workspace // owns everything that is started
	Name      string     // short, for names of folders and containers, such as "slot-lock-deadlock-control"
	Port      int        // 0: a free one is picked and kept across restarts; ignored with several nodes
	Topology  Topology   // only Single at an address and in containers whose ports are published
}

// Server is one Redis. Its methods must not be called concurrently, except Endpoint and Info.
type Server interface {
	Endpoint() Endpoint
	Info() Info

	// Kill ends the server with SIGKILL, without saving. It is down until Restart.
	Kill(ctx context.Context) error

	// Pause freezes the server (SIGSTOP, docker pause): the kernel still accepts connections, but
	// nothing is answered.
	Pause(ctx context.Context) error

	// Resume ends a Pause.
	Resume(ctx context.Context) error

	// Restart stops the server gracefully (SIGTERM, as systemctl restart does: the RDB file is
	// saved if save points are set), rewrites redis.conf, and starts the server at the same
	// address. It also works on a server that is killed or paused, and returns once a PING is
	// answered.
	Restart(ctx context.Context, c Config) error

	// Log returns what the server has written since its first start, across restarts. It also works
	// after Stop.
	Log(ctx context.Context) ([]byte, error)

	// Stop ends the server in any state and removes everything that was made for it. Calling it
	// again does nothing.
	Stop(ctx context.Context) error
}

// Starter starts a Server, or attaches to one. It returns once a PING is answered; after an error
// nothing is left behind.
type Starter func(ctx context.Context, spec Spec) (Server, error)

// CPUTimer is implemented by servers whose process is visible from outside. It distinguishes a
// server that is stopped from one that is too busy to answer.
type CPUTimer interface {
	// CPUTime returns the CPU time, user and system, that the server's process has used since it
	// was started, in steps of the kernel's clock tick (10 ms); 0 if the process is not visible. It
	// may be called at any time.
	CPUTime() time.Duration
}
