// Package faults is what a network does to the traffic between a swarm and its
// server: replies that vanish or come late, connections that are cut. It stands
// between the two as a proxy, on loopback, where a scenario asks for it. What it
// does it undoes with Heal, and all of it is gone with Stop.
package faults

import "time"

// Network is what a trigger may do to the traffic. Faults are in force for every
// connection, those that stand and those to come, until Heal; they add up.
type Network interface {
	// DropReplies lets everything through to the server and nothing back: what was
	// asked is done, and nobody is told. A connection that has lost a reply is cut
	// by Heal, for what comes after a gap would be taken for the answer to
	// something else.
	DropReplies()

	// DelayReplies lets every reply come later by so much. Replies of one connection
	// stay in order, and wait together.
	DelayReplies(by time.Duration)

	// Cut closes all connections that stand, on both sides, once. Whoever dials
	// again is let through.
	Cut()

	// Heal ends what was begun.
	Heal()
}

var _ Network = (*Proxy)(nil)
