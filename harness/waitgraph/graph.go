// Package waitgraph proves deadlocks. It is pure: its input is snapshots of which process holds and
// waits for which resources, and its output is whether the waiting processes can still proceed and,
// if not, which ones are stuck and why. It depends on neither Redis, goroutines nor clocks.
//
// The graph is the resource-allocation graph of Holt, "Some Deadlock Properties of Computer
// Systems" (Computing Surveys 4(3), 1972), with counted resources: a server's 30 client slots are
// interchangeable. In such a graph a cycle proves nothing, since a process outside the cycle may
// release a unit. Graph reduction proves a deadlock (see Reduce).
//
// A snapshot of a running swarm is not taken at one instant. Comparing two snapshots, the second
// begun after the first was complete, makes up for that: an edge that is the same in both, with the
// same start, existed throughout the interval between them, so all such edges existed together.
// Only those are reduced (see Analyze).
//
// All times are offsets from the start of the run.
package waitgraph

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ResourceKind is the kind of a resource. It selects the wording of sentences; reduction treats all
// kinds alike.
type ResourceKind string

const (
	Lock ResourceKind = "lock" // one unit, identified in Redis by its owner's token
	Slot ResourceKind = "slot" // the server's client slots: maxclients minus the reserved ones
	Turn ResourceKind = "turn" // the connections that one client's pool may have checked out at a time
)

// kinds lists all kinds in the order in which sentences name them.
var kinds = [...]ResourceKind{Slot, Turn, Lock}

// Resource is a number of interchangeable units.
type Resource struct {
	Kind    ResourceKind `json:"kind"`
	Name    string       `json:"name"`  // of a lock: its key; unique within its kind
	Units   int          `json:"units"` // total, held or free; at least 0
	Granted int64        `json:"-"`     // units granted since the run started; only differences are used
}

// ref identifies a resource in every snapshot of a run; its index may differ between snapshots.
type ref struct {
	kind ResourceKind
	name string
}

func (r Resource) ref() ref { return ref{r.Kind, r.Name} }

// Role is what a process will do with the units that it holds.
type Role uint8

const (
	// Worker is alive. It releases everything once it gets what it waits for; if it waits for
	// nothing, it is working and will finish.
	Worker Role = iota
	// Idler is alive and may release its units at any moment, whatever it appears to wait for: an
	// unidentified client, or a pooled connection that is reaped when idle. Units held by an idler
	// never prove anything.
	Idler
	// Orphan is dead and its units stay held: a crashed owner's lock without TTL, or a pool turn
	// lost with its goroutine.
	Orphan
	// Outsider is alive and never releases anything: an idle pooled connection that nothing reaps,
	// or a tool that keeps its connection open. Use Idler where that is not certain.
	Outsider
	// Foreigner is a client of the same server outside the swarm. Its behavior is unknown: it may
	// release its units at any moment, like an Idler, or never. A standstill that it could end is
	// neither proved nor disproved, and the analysis names the client.
	Foreigner
	roles // the number of roles
)

var roleNames = [roles]string{Worker: "worker", Idler: "idler", Orphan: "orphan", Outsider: "outsider",
	Foreigner: "foreigner"}

// String returns the name used in files and reports.
func (r Role) String() string {
	if r < roles {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// MarshalText returns the name, or an error for a number that is not a role.
func (r Role) MarshalText() ([]byte, error) {
	if r >= roles {
		return nil, fmt.Errorf("waitgraph: unknown role %d", uint8(r))
	}
	return []byte(roleNames[r]), nil
}

// UnmarshalText parses a name written by MarshalText.
func (r *Role) UnmarshalText(text []byte) error {
	for i, name := range roleNames {
		if name == string(text) {
			*r = Role(i)
			return nil
		}
	}
	return fmt.Errorf("waitgraph: unknown role %q", text)
}

// Edge joins a process to a resource: units that the process holds or waits for.
type Edge struct {
	Resource int // index into Snapshot.Resources
	Units    int // at least 1
	// Since is when the units were granted, or when the wait began. It distinguishes an edge from a
	// later one that looks the same. 0 means unknown; such an edge proves nothing while any grants
	// or releases occur.
	Since time.Duration
	// Token identifies the edge in Redis: for a lock, the token that holds it or that is being
	// tried; for a slot, the connection's name in CLIENT LIST ("" for an unnamed one).
	Token string
	// EndsAt is when the edge ends by itself: held units are released (the TTL of a lock), or a
	// waiting process gives up and releases all its units (an acquire timeout). 0 means never. A
	// wait that restarts as soon as it times out does not end.
	EndsAt time.Duration
}

// Process holds and waits for units.
type Process struct {
	Name  string // unique within a snapshot, stable across snapshots
	Role  Role
	Holds []Edge
	Waits []Edge // it needs all of them to proceed
	// Refused is set while the server answers the process's commands with an error: it cannot
	// proceed, whatever is free, until the server accepts them. nil: not refused.
	Refused *Refusal
}

// Refusal is an error reply that a process receives repeatedly.
type Refusal struct {
	Reply string        // its first word, e.g. OOM, MISCONF, READONLY
	Since time.Duration // when it was first received, with no accepted command since
}

// equal reports whether two refusals are the same.
func (r *Refusal) equal(s *Refusal) bool {
	return r == s || r != nil && s != nil && *r == *s
}

// Snapshot is the holds and waits of all processes.
//
// For a residue to be a proof, a snapshot must not omit anything that could help: a unit with an
// unknown holder is assigned to an Idler or left free, and an unknown wait is omitted. Such
// omissions can hide a deadlock but never fabricate one.
type Snapshot struct {
	At        time.Duration // when it was complete
	Took      time.Duration // it was begun at At - Took
	Resources []Resource
	Processes []Process
	Check     *Check // comparison with Redis; nil if Redis was not asked
}

func (s Snapshot) begun() time.Duration { return s.At - s.Took }

// Validate returns an error if a snapshot contradicts itself; no conclusion may be drawn from such
// a snapshot. A lock with two holders is an error: either mutual exclusion is broken or a holder
// has not noticed that it lost its lock. Slots may be held beyond their number, since CONFIG SET
// maxclients disconnects no clients.
func (s Snapshot) Validate() error {
	if s.Took < 0 {
		return fmt.Errorf("the snapshot has a negative duration: %v", s.Took)
	}
	resources := make(map[ref]bool, len(s.Resources))
	for _, r := range s.Resources {
		if !slices.Contains(kinds[:], r.Kind) {
			return fmt.Errorf("resource %q has the unknown kind %q", r.Name, r.Kind)
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
	waited := make([]int, len(s.Resources)) // the last process that waits for it, numbered from 1
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
		return fmt.Errorf("unknown role %v", p.Role)
	}
	for _, edges := range [2][]Edge{p.Holds, p.Waits} {
		for _, e := range edges {
			if e.Resource < 0 || e.Resource >= len(s.Resources) {
				return fmt.Errorf("no resource has the index %d", e.Resource)
			}
			if e.Units < 1 {
				return fmt.Errorf("an edge has %d units", e.Units)
			}
			if e.EndsAt < 0 || e.Since < 0 {
				return errors.New("an edge has a negative offset (0 means unknown)")
			}
		}
	}
	for _, e := range p.Holds {
		held[e.Resource] += e.Units
	}
	for _, e := range p.Waits {
		if waited[e.Resource] == number {
			return fmt.Errorf("it waits twice for %q: use one edge for all units", s.Resources[e.Resource].Name)
		}
		waited[e.Resource] = number
	}
	return nil
}
