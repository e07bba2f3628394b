package swarm

import "net"

// perSource is how many clients dial from one address. A connection takes a port of its
// source address and the server's, of which Linux has 28,232 by default, and one that was
// closed keeps it for a minute: k6, tsung and others run out of them on one address.
const perSource = 10_000

// sourceOf is the address that client number n (1 and up) of a swarm dials from: one of
// 127.0.0.0/8 for every so many, where the server is on this machine. It is nil, which leaves
// it to the system, for the first so many, and for a server elsewhere.
func sourceOf(server string, n int64) net.Addr {
	host, _, err := net.SplitHostPort(server)
	ip := net.ParseIP(host).To4()
	if group := (n - 1) / perSource; err == nil && group > 0 && ip != nil && ip.IsLoopback() && severalSources {
		return &net.TCPAddr{IP: net.IPv4(127, 0, byte(group>>8), byte(1+group%255))}
	}
	return nil
}
