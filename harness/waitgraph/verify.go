package waitgraph

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// ServerState is the state of Redis, read over a control connection at about the time of a
// snapshot.
type ServerState struct {
	At      time.Duration
	Locks   map[string]string // key -> token of every existing lock key; nil: not read
	Clients map[string]int    // name in CLIENT LIST -> connections, without reserved ones; nil: not read
}

// Check is the result of comparing a snapshot with Redis.
type Check struct {
	At             time.Duration   // when Redis was asked
	Confirmed      int             // edges that Redis confirms
	Unchecked      int             // held locks and slots that Redis was not asked about
	Contradictions []Contradiction // sorted: locks before slots, then by name
}

// Mismatch is the way in which a process's claim and Redis disagree.
type Mismatch string

const (
	LockGone      Mismatch = "lock-gone"       // claimed by a holder; Redis has no such key
	LockOfAnother Mismatch = "lock-of-another" // claimed by a holder; Redis has another token
	LockUnclaimed Mismatch = "lock-unclaimed"  // in Redis; claimed by no process
	// LockOfWaiter is in Redis with the token of a process that waits for it: the grant's reply is
	// in flight or lost.
	LockOfWaiter         Mismatch = "lock-of-waiter"
	ConnectionsGone      Mismatch = "connections-gone"      // more slots are claimed than Redis lists
	ConnectionsUnclaimed Mismatch = "connections-unclaimed" // Redis lists more than are claimed
)

// Contradiction is one disagreement between a snapshot and Redis.
type Contradiction struct {
	Mismatch Mismatch `json:"mismatch"`
	Process  string   `json:"process,omitempty"` // the process that claims or waits
	Resource string   `json:"resource"`          // the lock's key, or the connection's name
	Claimed  string   `json:"claimed"`           // token, or number of connections
	Seen     string   `json:"seen"`
}

// String describes the contradiction in a sentence.
func (c Contradiction) String() string {
	switch c.Mismatch {
	case LockGone:
		return fmt.Sprintf("%s claims lock %q, but Redis has no such key", c.Process, c.Resource)
	case LockOfAnother:
		return fmt.Sprintf("%s claims lock %q with token %q, but Redis has token %q", c.Process,
			c.Resource, c.Claimed, c.Seen)
	case LockUnclaimed:
		return fmt.Sprintf("Redis has lock %q with token %q, which no process claims", c.Resource, c.Seen)
	case LockOfWaiter:
		return fmt.Sprintf("%s waits for lock %q, but Redis names it as the owner", c.Process, c.Resource)
	case ConnectionsGone, ConnectionsUnclaimed:
		return fmt.Sprintf("Redis lists %s connections named %q, but %s are claimed", c.Seen, c.Resource, c.Claimed)
	}
	return fmt.Sprintf("%s: %s %q, claimed %q, seen %q", c.Mismatch, c.Process, c.Resource, c.Claimed, c.Seen)
}

// Verify compares the held locks and slots of a snapshot with the state of Redis, in both
// directions. A running system shows occasional contradictions, since the two are not read at the
// same instant; a system at a standstill shows none.
//
// Redis lists a connection until it notices the disconnect: a client that lost its network still
// appears to hold its slot.
func Verify(s Snapshot, seen ServerState) Check {
	c := Check{At: seen.At}
	if seen.Locks != nil {
		c.locks(s, seen.Locks)
	}
	if seen.Clients != nil {
		c.clients(s, seen.Clients)
	}
	for _, p := range s.Processes {
		for _, e := range p.Holds {
			kind := s.Resources[e.Resource].Kind
			if (kind == Lock && seen.Locks == nil) || (kind == Slot && seen.Clients == nil) {
				c.Unchecked += e.Units
			}
		}
	}
	return c
}

func (c *Check) locks(s Snapshot, seen map[string]string) {
	claimed := make(map[string]bool, len(seen))
	type attempt struct{ lock, token string }
	waiters := map[attempt]string{}
	holds := map[attempt]string{}
	found := map[string][]Contradiction{} // by lock, for sorting
	for _, p := range s.Processes {
		for _, e := range p.Holds {
			lock := s.Resources[e.Resource]
			if lock.Kind != Lock {
				continue
			}
			claimed[lock.Name] = true
			holds[attempt{lock.Name, e.Token}] = p.Name
			token, exists := seen[lock.Name]
			switch {
			case !exists:
				found[lock.Name] = append(found[lock.Name], Contradiction{LockGone, p.Name, lock.Name, e.Token, ""})
			case token != e.Token:
				found[lock.Name] = append(found[lock.Name],
					Contradiction{LockOfAnother, p.Name, lock.Name, e.Token, token})
			default:
				c.Confirmed++
			}
		}
		for _, e := range p.Waits {
			if lock := s.Resources[e.Resource]; lock.Kind == Lock && e.Token != "" {
				waiters[attempt{lock.Name, e.Token}] = p.Name
			}
		}
	}
	for name, token := range seen {
		this := attempt{name, token}
		// A process that waits for a lock that it knows it holds does not contradict Redis.
		if waiter, ok := waiters[this]; ok && holds[this] != waiter {
			found[name] = append(found[name], Contradiction{LockOfWaiter, waiter, name, "", token})
		} else if !claimed[name] {
			found[name] = append(found[name], Contradiction{LockUnclaimed, "", name, "", token})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		c.Contradictions = append(c.Contradictions, found[name]...)
	}
}

func (c *Check) clients(s Snapshot, seen map[string]int) {
	claimed := make(map[string]int, len(seen))
	owner := make(map[string]string, len(seen))
	for _, p := range s.Processes {
		for _, e := range p.Holds {
			if s.Resources[e.Resource].Kind == Slot {
				claimed[e.Token] += e.Units
				owner[e.Token] = p.Name
			}
		}
	}
	names := maps.Clone(claimed)
	maps.Copy(names, seen)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.Confirmed += min(claimed[name], seen[name])
		mismatch := ConnectionsGone
		switch {
		case claimed[name] == seen[name]:
			continue
		case claimed[name] < seen[name]:
			mismatch = ConnectionsUnclaimed
		}
		c.Contradictions = append(c.Contradictions, Contradiction{
			mismatch, owner[name], name, fmt.Sprint(claimed[name]), fmt.Sprint(seen[name]),
		})
	}
}
