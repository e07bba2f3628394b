package waitgraph

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Seen is what Redis itself says, read over a control connection at about the
// time of a snapshot.
type Seen struct {
	At      time.Duration
	Locks   map[string]string // key -> token, of every lock key that exists; nil: nobody looked
	Clients map[string]int    // name in CLIENT LIST -> connections; without the reserved ones; nil: nobody looked
}

// Check is how far a snapshot and Redis agree.
type Check struct {
	At             time.Duration   // when Redis was asked
	Confirmed      int             // edges that Redis confirms
	Unchecked      int             // held locks and slots that Redis was not asked about
	Contradictions []Contradiction // sorted: locks before slots, then by name
}

// Mismatch is how a claim and Redis disagree.
type Mismatch string

const (
	LockGone             Mismatch = "lock-gone"             // held, says the holder; Redis has no such key
	LockOfAnother        Mismatch = "lock-of-another"       // held, says the holder; Redis has another token
	LockUnclaimed        Mismatch = "lock-unclaimed"        // in Redis; nobody says that it is theirs
	LockOfWaiter         Mismatch = "lock-of-waiter"        // in Redis with the token of one who waits for it: the grant's reply is on its way, or lost
	ConnectionsGone      Mismatch = "connections-gone"      // more slots are claimed than Redis lists
	ConnectionsUnclaimed Mismatch = "connections-unclaimed" // Redis lists more than are claimed
)

// Contradiction is one disagreement.
type Contradiction struct {
	Mismatch Mismatch `json:"mismatch"`
	Process  string   `json:"process,omitempty"` // who claims, or waits
	Resource string   `json:"resource"`          // the lock's key, or the connection's name
	Claimed  string   `json:"claimed"`           // token, or number of connections
	Seen     string   `json:"seen"`
}

// String says it in a sentence.
func (c Contradiction) String() string {
	switch c.Mismatch {
	case LockGone:
		return fmt.Sprintf("%s says that it holds lock %q, and Redis has no such key", c.Process, c.Resource)
	case LockOfAnother:
		return fmt.Sprintf("%s says that it holds lock %q with token %q, and Redis has token %q", c.Process, c.Resource, c.Claimed, c.Seen)
	case LockUnclaimed:
		return fmt.Sprintf("Redis has lock %q with token %q, and nobody says that it is theirs", c.Resource, c.Seen)
	case LockOfWaiter:
		return fmt.Sprintf("%s waits for lock %q, and Redis says that it owns it", c.Process, c.Resource)
	case ConnectionsGone, ConnectionsUnclaimed:
		return fmt.Sprintf("Redis lists %s connections named %q, and %s are claimed", c.Seen, c.Resource, c.Claimed)
	}
	return fmt.Sprintf("%s: %s %q, claimed %q, seen %q", c.Mismatch, c.Process, c.Resource, c.Claimed, c.Seen)
}

// Verify compares the held locks and slots of a snapshot with what Redis says,
// both ways. A system in motion contradicts itself now and then, since the two
// are not read at the same instant; one that stands still does not.
//
// Redis answers for a connection until it notices that it is gone: a client
// that lost its network looks like one that holds its slot.
func Verify(s Snapshot, seen Seen) Check {
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
	type trying struct{ lock, token string }
	waiters := map[trying]string{}
	holds := map[trying]string{}
	found := map[string][]Contradiction{} // by lock, to sort them
	for _, p := range s.Processes {
		for _, e := range p.Holds {
			lock := s.Resources[e.Resource]
			if lock.Kind != Lock {
				continue
			}
			claimed[lock.Name] = true
			holds[trying{lock.Name, e.Token}] = p.Name
			token, exists := seen[lock.Name]
			switch {
			case !exists:
				found[lock.Name] = append(found[lock.Name], Contradiction{LockGone, p.Name, lock.Name, e.Token, ""})
			case token != e.Token:
				found[lock.Name] = append(found[lock.Name], Contradiction{LockOfAnother, p.Name, lock.Name, e.Token, token})
			default:
				c.Confirmed++
			}
		}
		for _, e := range p.Waits {
			if lock := s.Resources[e.Resource]; lock.Kind == Lock && e.Token != "" {
				waiters[trying{lock.Name, e.Token}] = p.Name
			}
		}
	}
	for name, token := range seen {
		this := trying{name, token}
		if waiter, ok := waiters[this]; ok && holds[this] != waiter { // who is known to wait for what is its own is right
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
