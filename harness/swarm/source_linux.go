package swarm

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// severalSources reports whether all of 127.0.0.0/8 can be dialled from.
const severalSources = true

// lateBind has a port chosen when the connection is made, and not when the socket is bound to
// its source address: then one port serves several servers. See ip(7), IP_BIND_ADDRESS_NO_PORT.
func lateBind(source net.Addr) func(network, address string, c syscall.RawConn) error {
	if source == nil {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		})
		return errors.Join(err, set)
	}
}
