// Package server is where a Redis comes from.
//
// A [Starter] gives a [Server]: a container (container.go), a process of this machine (process.go), or one that runs already
// and belongs to somebody else (address.go). [Choose] picks the starter from a word such as "auto".
//
// Everything that is started belongs to a [Workspace], so that a run which was killed with SIGKILL can be swept later: see [Sweep].
// [Control] holds the connections that are opened before the swarm and never need a slot again.
package server

import (
	"context"
	"crypto/tls"
	"errors"
)

// DefaultImage is the official image that is used where no other is named.
const DefaultImage = "redis:7.4-alpine"

// LocalImage is the image that scripts/setup.sh builds from an installed redis-server where no registry can be reached.
const LocalImage = "lockjam-redis:local"

// The kinds of server, as [Choose] takes them and [Info] tells them.
const (
	KindAuto      = "auto"
	KindContainer = "container"
	KindProcess   = "process"
	KindAddress   = "address"
)

var (
	// ErrNotOurs is what a server that lockjam did not start answers to Kill, Pause, Resume and Restart.
	ErrNotOurs = errors.New("started by somebody else")

	// ErrUnavailable says that no Redis is to be had. The message around it says what to install.
	ErrUnavailable = errors.New("no Redis to be had")

	// ErrWillNotStop says that a server refuses to stop, and goes on. The message has its reason, from its log.
	ErrWillNotStop = errors.New("the server refuses to stop")

	// ErrUsage says that the caller asked for something that does not exist, such as an unknown server kind.
	ErrUsage = errors.New("usage")
)

// Endpoint is how to dial a server.
type Endpoint struct {
	Addr     string // host:port
	Username string
	Password string
	DB       int
	TLS      *tls.Config // nil: plain TCP

	reserved *reservation // connections that a restarted server holds for the next Control; nil: none
}

// Info is what is recorded about a server with the run.
type Info struct {
	Kind   string `json:"kind"`             // container, process or address
	Image  string `json:"image,omitempty"`  // container only
	Binary string `json:"binary,omitempty"` // process only: the path of the server program
	Addr   string `json:"addr,omitempty"`   // host:port

	Network string `json:"network,omitempty"` // container only: shared with this machine, or published through Docker's proxy

	Topology Topology `json:"topology,omitempty"` // where there is more than one node
}

// Spec is what a Starter starts.
type Spec struct {
	Config    Config     // redis.conf, without port, bind and dir: those are the starter's
	Image     string     // container only
	Workspace *Workspace // owns everything that is started
	Name      string     // short, for names of folders and containers, such as "slot-lock-deadlock-control"
	Port      int        // 0: a free one is picked, and kept over restarts; of no effect where there are several nodes
	Topology  Topology   // not at an address, nor in containers whose ports are published
}

// Server is one Redis. Its methods are not to be called concurrently, except Endpoint and Info.
type Server interface {
	Endpoint() Endpoint
	Info() Info

	// Kill ends the server with SIGKILL: no save, no goodbye. It is down until Restart.
	Kill(ctx context.Context) error

	// Pause freezes the server (SIGSTOP, docker pause): the kernel still accepts connections, nothing is answered.
	Pause(ctx context.Context) error

	// Resume ends a Pause.
	Resume(ctx context.Context) error

	// Restart stops the server in good order (SIGTERM, as systemctl restart does: the RDB file is saved where save points
	// are set), rewrites redis.conf, and starts it at the same address. It works from killed and paused too, and returns
	// once a PING is answered.
	Restart(ctx context.Context, c Config) error

	// Log returns what the server wrote in all its lives, also after Stop.
	Log(ctx context.Context) ([]byte, error)

	// Stop ends the server in any state and removes everything that was made for it. Calling it again does nothing.
	Stop(ctx context.Context) error
}

// Starter starts a Server, or attaches to one. It returns once a PING is answered; after an error nothing is left behind.
type Starter func(ctx context.Context, spec Spec) (Server, error)
