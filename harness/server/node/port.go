package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"

	"github.com/lockjam/lockjam/harness/server"
)

// errPortTaken reports that another program listens on the port.
var errPortTaken = errors.New("address already in use")

// Ports are picked below the range that the kernel uses for outgoing connections (from 32768 on
// Linux, from 49152 elsewhere). Inside that range one of the swarm's own connections may take the
// port while the server is down, and the server cannot come back.
const (
	firstPort = 20000
	endPort   = 32000
)

// PortTaken returns the error for a port on which another program listens.
func PortTaken(port int) error {
	return fmt.Errorf("port %d on 127.0.0.1: %w: choose another port, or stop the program that listens there",
		port, errPortTaken)
}

// ProbePort returns an error if the port cannot be listened on; see PortTaken.
func ProbePort(port int) error {
	listener, err := net.Listen("tcp", server.Loopback(port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return PortTaken(port)
	case err != nil:
		return fmt.Errorf("listen on a port of 127.0.0.1: %w", err)
	}
	return listener.Close()
}

// FreePort picks a port that is free at this moment.
func FreePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(endPort-firstPort)
		if err := ProbePort(port); !errors.Is(err, errPortTaken) {
			return port, err
		}
	}
	return 0, fmt.Errorf("find a free port on 127.0.0.1 between %d and %d: all of 100 tried ports are taken",
		firstPort, endPort)
}

// busOffset is the distance from a cluster node's port to its bus port. Redis before 7.0 cannot be
// configured otherwise.
const busOffset = 10000

// freePortWithBus picks a port that is free together with its bus port. Both are below the range of
// outgoing connections.
func freePortWithBus() (int, error) {
	for range 100 {
		port := firstPort - busOffset + rand.IntN(endPort-firstPort)
		err := ProbePort(port)
		if err == nil {
			err = ProbePort(port + busOffset)
		}
		if !errors.Is(err, errPortTaken) {
			return port, err
		}
	}
	return 0, fmt.Errorf("find two free ports on 127.0.0.1 that are %d apart: all of 100 tried pairs are taken",
		busOffset)
}

// attempts bounds how often a start is tried on a new free port if another program took the port
// first.
const attempts = 3

// WithPort calls start with the port. If the port is 0, it calls start with free ones until another
// program has not taken the port first, at most 3 times.
func WithPort(port int, start func(port int) (Node, error)) (Node, error) {
	if port != 0 {
		return start(port)
	}
	return retryPort(FreePort, start)
}

// retryPort calls start with a port from pick, at most 3 times, while the port turns out to be
// taken.
func retryPort(pick func() (int, error), start func(port int) (Node, error)) (Node, error) {
	var errs []error
	for range attempts {
		port, err := pick()
		if err != nil {
			return nil, err
		}
		n, err := start(port)
		if !errors.Is(err, errPortTaken) {
			return n, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
