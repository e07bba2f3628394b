// Package waitgraph proves deadlocks. It knows nothing of Redis, goroutines or
// clocks: it is given snapshots of who holds what and who waits for what, and
// says whether those that wait can still be helped, whom it holds, and why.
//
// The graph is the resource-allocation graph of Holt, "Some Deadlock Properties
// of Computer Systems" (Computing Surveys 4(3), 1972), with counted resources:
// one of a server's 30 client slots is as good as another. A cycle proves
// nothing there, since somebody outside of it may give a unit back. What proves
// a deadlock is reduction (see Reduce).
//
// A snapshot of a running swarm is not taken at one instant. Two of them, one
// wholly after the other, make up for it: an edge that is the same in both,
// begun at the same moment, was there all the time in between, so all such
// edges were there together. Only those are reduced (see Judge).
//
// All times are offsets from the run's one start.
package waitgraph

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ResourceKind is what a resource is. It decides the words that are used for
// it; the reduction treats all kinds alike.
type ResourceKind string

const (
	Lock ResourceKind = "lock" // one unit, known to Redis by the token of its owner
	Slot ResourceKind = "slot" // the server's client slots: maxclients less what is reserved
	Turn ResourceKind = "turn" // the turns of one client's connection pool
)

// kinds lists all kinds, in the order in which sentences name them.
var kinds = [...]ResourceKind{Slot, Turn, Lock}

// Resource is something of which there are a number of equal units.
type Resource struct {
	Kind    ResourceKind `json:"kind"`
	Name    string       `json:"name"`  // of a lock: its key. Unique within its kind
	Units   int          `json:"units"` // in all, held or free; 0 and up
	Granted int64        `json:"-"`     // units granted since the start of the run; only differences count
}

// ref names a resource in every snapshot of a run; its index need not be the
// same in two of them.
type ref struct {
	kind ResourceKind
	name string
}

func (r Resource) ref() ref { return ref{r.Kind, r.Name} }

// Role says what a process will do with the units that it holds.
type Role uint8

const (
	// Worker is alive. It gives everything back once it has what it waits for;
	// if it waits for nothing, it is at work and will finish.
	Worker Role = iota
	// Idler is alive and may give back what it holds at any moment, whatever
	// it seems to wait for: a client that nobody knows, a pooled connection
	// that is reaped when idle. What an idler holds never proves anything.
	Idler
	// Orphan is dead, and what it held stays held: a crashed owner's lock
	// without TTL, a turn that a goroutine took with it.
	Orphan
	// Outsider is alive and never gives anything back: an idle pooled
	// connection that nothing reaps, a tool that keeps its connection open.
	// Say Idler where that is not certain.
	Outsider
	// Foreigner is a client of the same server that is not part of the swarm. What
	// it will do is unknown: it may give back what it holds at any moment, like an
	// Idler, and it may never. A standstill that it could end is neither proved nor
	// disproved, and the finding names it.
	Foreigner
	roles // the number of roles
)

var roleNames = [roles]string{Worker: "worker", Idler: "idler", Orphan: "orphan", Outsider: "outsider", Foreigner: "foreigner"}

// String returns the name that files and reports use.
func (r Role) String() string {
	if r < roles {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// MarshalText returns the name; a number that is no role is an error.
func (r Role) MarshalText() ([]byte, error) {
	if r >= roles {
		return nil, fmt.Errorf("waitgraph: no role has the number %d", uint8(r))
	}
	return []byte(roleNames[r]), nil
}

// UnmarshalText reads a name that MarshalText wrote.
func (r *Role) UnmarshalText(text []byte) error {
	for i, name := range roleNames {
		if name == string(text) {
			*r = Role(i)
			return nil
		}
	}
	return fmt.Errorf("waitgraph: %q is no role", text)
}

// Edge joins a process to a resource: units that it holds, or that it waits
// for.
type Edge struct {
	Resource int // index into Snapshot.Resources
	Units    int // 1 and up
	// Since is when it was granted, or when the wait began. It tells an edge
	// from a later one that looks the same. 0: not known; such an edge proves
	// nothing while anything at all is granted or released.
	Since time.Duration
	// Token is how Redis knows it: the token of a lock that is held, or that
	// is being tried with; for a slot the name of the connection in CLIENT
	// LIST ("" has none).
	Token string
	// EndsAt is when it ends by itself, without anybody's help: a held unit
	// goes back (the TTL of a lock), a process that waits gives up and returns
	// all it holds (an acquire timeout). 0: never. A wait that is begun again
	// as soon as it has timed out does not end.
	EndsAt time.Duration
}

// Process is somebody who holds and waits.
type Process struct {
	Name  string // unique in the snapshot, the same in the next one
	Role  Role
	Holds []Edge
	Waits []Edge // it needs all of them to go on
	// Refused is set while the server answers its commands with an error: it does not
	// go on, whatever is free, until the server accepts them. nil: not refused.
	Refused *Refusal
}

// Refusal is an error reply that a process is given again and again.
type Refusal struct {
	Reply string        // its first word: OOM, MISCONF, READONLY
	Since time.Duration // when it was given first, with no accepted command since
}

// equal reports whether two refusals are the same one.
func (r *Refusal) equal(s *Refusal) bool {
	return r == s || r != nil && s != nil && *r == *s
}

// Snapshot is who holds what and who waits for what.
//
// For a residue to be a proof it must not leave out what could help: a unit
// whose holder is not known is an Idler's or is free, a wait that is not known
// is no wait. What is left out that way can hide a deadlock, never feign one.
type Snapshot struct {
	At        time.Duration // when it was complete
	Took      time.Duration // it was begun at At - Took
	Resources []Resource
	Processes []Process
	Check     *Check // against what Redis says; nil if nobody looked
}

func (s Snapshot) begun() time.Duration { return s.At - s.Took }

// Validate returns what is wrong with a snapshot in itself; nothing follows
// from one that is wrong. A lock that is held twice is wrong: either mutual
// exclusion is broken or a holder does not know that it has lost its lock.
// Slots may be held beyond their number, since CONFIG SET maxclients cuts
// nobody off.
func (s Snapshot) Validate() error {
	if s.Took < 0 {
		return fmt.Errorf("the snapshot took %v", s.Took)
	}
	resources := make(map[ref]bool, len(s.Resources))
	for _, r := range s.Resources {
		if !slices.Contains(kinds[:], r.Kind) {
			return fmt.Errorf("resource %q is of no known kind: %q", r.Name, r.Kind)
		}
		if r.Units < 0 {
			return fmt.Errorf("%s %q has %d units", r.Kind, r.Name, r.Units)
		}
		if resources[r.ref()] {
			return fmt.Errorf("%s %q is listed twice", r.Kind, r.Name)
		}
		resources[r.ref()] = true
	}
	held := make([]int, len(s.Resources))
	waited := make([]int, len(s.Resources)) // the last process that waits for it, counted from 1
	names := make(map[string]bool, len(s.Processes))
	for i, p := range s.Processes {
		if names[p.Name] {
			return fmt.Errorf("process %q is listed twice", p.Name)
		}
		names[p.Name] = true
		if err := s.validateEdges(p, held, waited, i+1); err != nil {
			return fmt.Errorf("process %q: %w", p.Name, err)
		}
	}
	for i, r := range s.Resources {
		if r.Kind == Lock && held[i] > r.Units {
			return fmt.Errorf("lock %q is held %d times", r.Name, held[i])
		}
	}
	return nil
}

func (s Snapshot) validateEdges(p Process, held, waited []int, number int) error {
	if p.Role >= roles {
		return fmt.Errorf("its role is %v", p.Role)
	}
	for _, edges := range [2][]Edge{p.Holds, p.Waits} {
		for _, e := range edges {
			if e.Resource < 0 || e.Resource >= len(s.Resources) {
				return fmt.Errorf("there is no resource %d", e.Resource)
			}
			if e.Units < 1 {
				return fmt.Errorf("an edge of %d units", e.Units)
			}
			if e.EndsAt < 0 || e.Since < 0 {
				return errors.New("an edge with a negative offset: what is not known is 0")
			}
		}
	}
	for _, e := range p.Holds {
		held[e.Resource] += e.Units
	}
	for _, e := range p.Waits {
		if waited[e.Resource] == number {
			return fmt.Errorf("it waits twice for %q: one edge holds all its units", s.Resources[e.Resource].Name)
		}
		waited[e.Resource] = number
	}
	return nil
}
