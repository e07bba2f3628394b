// Package faults injects network faults between a swarm and its server: replies that are lost or
// delayed, and connections that are cut. It is a proxy on loopback between the two, in scenarios
// that ask for it. Heal ends the faults, and Stop removes the proxy.
package faults

import "time"

// Network injects faults. They apply to all open and new connections until Heal, and add up.
type Network interface {
	// DropReplies passes requests to the server and drops all replies: commands are executed, but
	// the client does not learn of it. Heal cuts every connection that has lost a reply, because
	// the next reply would be taken for the answer to another request.
	DropReplies()

	// DelayReplies delays every reply. Replies of one connection stay in order, and wait
	// concurrently.
	DelayReplies(by time.Duration)

	// Cut closes all open connections once, on both sides. New connections pass.
	Cut()

	// Heal ends all faults.
	Heal()
}

var _ Network = (*Proxy)(nil)
