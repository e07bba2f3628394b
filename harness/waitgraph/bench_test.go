package waitgraph

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const (
	manyWorkers = 10_000
	manyLocks   = 1_000
	manySlots   = 10_000
)

func edge(resource, units int) []Edge {
	return []Edge{{Resource: resource, Units: units, Since: began}}
}

// large is 10,000 workers, 1,000 locks (the first resources) and 10,000 slots (the last resource),
// stuck as in slotLock: the lock holders wait for a slot, the others have one and wait for a lock,
// and an outsider has 1,000 slots.
func large() Snapshot {
	s := Snapshot{At: 10 * time.Second}
	for i := range manyLocks {
		s.Resources = append(s.Resources, lock(fmt.Sprintf("lock:%d", i)))
	}
	s.Resources = append(s.Resources, slots(manySlots))
	for i := range manyWorkers {
		p := Process{Name: fmt.Sprintf("worker-%d", i)}
		if i < manyLocks {
			p.Holds, p.Waits = edge(i, 1), edge(manyLocks, 1)
		} else {
			p.Holds, p.Waits = edge(manyLocks, 1), edge(i%manyLocks, 1)
		}
		s.Processes = append(s.Processes, p)
	}
	idle := manySlots - (manyWorkers - manyLocks)
	s.Processes = append(s.Processes, Process{Name: "leak", Role: Outsider, Holds: edge(manyLocks, idle)})
	return s
}

// chain reduces one worker at a time, the last first: each holds a lock and waits for the next
// worker's lock.
func chain() Snapshot {
	s := Snapshot{At: 10 * time.Second}
	for i := range manyWorkers {
		s.Resources = append(s.Resources, lock(fmt.Sprintf("lock:%d", i)))
		p := Process{Name: fmt.Sprintf("worker-%d", i), Holds: edge(i, 1)}
		if i+1 < manyWorkers {
			p.Waits = edge(i+1, 1)
		}
		s.Processes = append(s.Processes, p)
	}
	return s
}

// staircase reduces one worker at a time over a single resource: each worker that finishes releases
// one unit, which satisfies only the next wait. Scanning all waits each time would be quadratic.
func staircase() Snapshot {
	s := Snapshot{At: 10 * time.Second, Resources: []Resource{slots(manyWorkers)}}
	for i := range manyWorkers {
		p := Process{Name: fmt.Sprintf("worker-%d", i), Holds: edge(0, 1)}
		if n := manyWorkers - 1 - i; n > 0 { // the first on the stairs comes last in the list
			p.Waits = edge(0, n)
		}
		s.Processes = append(s.Processes, p)
	}
	return s
}

// everyLock makes each worker wait for ten locks at once.
func everyLock() Snapshot {
	s := large()
	for i := range s.Processes[:manyWorkers] {
		p := &s.Processes[i]
		p.Waits = nil
		for n := range 10 {
			p.Waits = append(p.Waits, edge((i+n*97+1)%manyLocks, 1)...)
		}
		slices.SortFunc(p.Waits, func(a, b Edge) int { return a.Resource - b.Resource })
	}
	return s
}

var shapes = []struct {
	name    string
	graph   func() Snapshot
	residue int
}{
	{"deadlock", large, manyWorkers},
	{"chain", chain, 0},
	{"staircase", staircase, 0},
	{"ten-locks-each", everyLock, manyWorkers},
}

func TestShapes(t *testing.T) {
	for _, shape := range shapes {
		s := shape.graph()
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", shape.name, err)
		}
		if n := len(Reduce(s)); n != shape.residue {
			t.Errorf("%s: %d in the residue, want %d", shape.name, n, shape.residue)
		}
	}
}

func BenchmarkReduce(b *testing.B) {
	for _, shape := range shapes {
		s := shape.graph()
		b.Run(shape.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Reduce(s)
			}
		})
	}
}

// BenchmarkAnalyze measures all steps from two snapshots to an analysis: validation, comparison,
// reductions, groups and sentence.
func BenchmarkAnalyze(b *testing.B) {
	first := large()
	second := later(large())
	b.ReportAllocs()
	for b.Loop() {
		if f := Analyze(first, second, Activity{Attempts: 1}, thresholds); f.Kind != Deadlock {
			b.Fatal(f.Sentence)
		}
	}
}

// BenchmarkAnalyzeTransient has one expiry per lock.
func BenchmarkAnalyzeTransient(b *testing.B) {
	first, second := large(), later(large())
	for _, s := range []Snapshot{first, second} {
		for i := range manyLocks {
			s.Processes[i].Holds[0].EndsAt = 20*time.Second + time.Duration(i)*time.Millisecond
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if f := Analyze(first, second, Activity{Attempts: 1}, thresholds); f.Kind != Transient {
			b.Fatal(f.Sentence)
		}
	}
}

func BenchmarkMermaid(b *testing.B) {
	f := Analyze(large(), later(large()), Activity{}, thresholds)
	for b.Loop() {
		_ = f.Residue.Mermaid()
	}
}
