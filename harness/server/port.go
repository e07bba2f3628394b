package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// errPortTaken says that somebody else listens on the port.
var errPortTaken = errors.New("address already in use")

// Ports are picked below those that the kernel gives to outgoing connections (from 32768 on Linux, 49152 elsewhere). Above
// that, one of the swarm's own connections may sit on the port while the server is down, and the server cannot come back.
const (
	firstPort = 20000
	endPort   = 32000
)

// portTakenError names the port.
func portTakenError(port int) error {
	return fmt.Errorf("port %d on 127.0.0.1: %w: choose another port, or stop what listens there", port, errPortTaken)
}

// probePort returns an error if the port cannot be listened on: errPortTaken where another program does.
func probePort(port int) error {
	listener, err := net.Listen("tcp", loopback(port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return portTakenError(port)
	case err != nil:
		return fmt.Errorf("listen on a port of 127.0.0.1: %w", err)
	}
	return listener.Close()
}

// freePort picks a port on which nobody listens, this moment.
func freePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(endPort-firstPort)
		if err := probePort(port); !errors.Is(err, errPortTaken) {
			return port, err
		}
	}
	return 0, fmt.Errorf("find a free port on 127.0.0.1 between %d and %d: 100 of 100 tries were taken", firstPort, endPort)
}

// busOffset is how far above its port a node of a cluster listens for the others, unless it is told otherwise, which Redis
// before 7.0 cannot be.
const busOffset = 10000

// freePortWithBus picks a port on which nobody listens, nor on that of its bus. Both are below those of outgoing connections.
func freePortWithBus() (int, error) {
	for range 100 {
		port := firstPort - busOffset + rand.IntN(endPort-firstPort)
		err := probePort(port)
		if err == nil {
			err = probePort(port + busOffset)
		}
		if !errors.Is(err, errPortTaken) {
			return port, err
		}
	}
	return 0, fmt.Errorf("find a port on 127.0.0.1 that is free, and %d above it another: 100 of 100 tries were taken", busOffset)
}

// withPort calls start with the port, or with a free one where it is 0: then it tries another, at most three in all, if
// somebody else was faster.
func withPort(port int, start func(port int) (node, error)) (node, error) {
	if port != 0 {
		return start(port)
	}
	var errs []error
	for range 3 {
		free, err := freePort()
		if err != nil {
			return nil, err
		}
		s, err := start(free)
		if !errors.Is(err, errPortTaken) {
			return s, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
