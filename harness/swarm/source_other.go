//go:build !linux

package swarm

import (
	"net"
	"syscall"
)

// severalSources reports whether all of 127.0.0.0/8 can be dialled from: elsewhere only
// 127.0.0.1 is configured.
const severalSources = false

func lateBind(net.Addr) func(network, address string, c syscall.RawConn) error { return nil }
