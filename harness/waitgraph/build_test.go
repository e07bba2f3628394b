package waitgraph

import (
	"testing"
	"time"
)

// sketch builds a snapshot. Every edge starts at 1 s, so that two sketches of the same graph have
// the same edges.
type sketch struct{ s Snapshot }

const began = time.Second

func draw(resources ...Resource) *sketch {
	return &sketch{Snapshot{At: 10 * time.Second, Resources: resources}}
}

func lock(name string) Resource            { return Resource{Kind: Lock, Name: name, Units: 1} }
func slots(units int) Resource             { return Resource{Kind: Slot, Name: "server", Units: units} }
func pool(name string, units int) Resource { return Resource{Kind: Turn, Name: name, Units: units} }
func (k *sketch) find(name string) (int, bool) {
	for i, r := range k.s.Resources {
		if r.Name == name {
			return i, true
		}
	}
	return 0, false
}

// add takes names of resources; a name that occurs twice means two units.
func (k *sketch) add(role Role, name string, holds, waits []string) *sketch {
	p := Process{Name: name, Role: role}
	edges := func(names []string, token string) []Edge {
		var list []Edge
		for _, n := range names {
			at, ok := k.find(n)
			if !ok {
				panic("no resource " + n)
			}
			if len(list) > 0 && list[len(list)-1].Resource == at {
				list[len(list)-1].Units++
				continue
			}
			list = append(list, Edge{Resource: at, Units: 1, Since: began, Token: token})
		}
		return list
	}
	p.Holds, p.Waits = edges(holds, name), edges(waits, name)
	k.s.Processes = append(k.s.Processes, p)
	return k
}

func (k *sketch) worker(name string, holds, waits []string) *sketch {
	return k.add(Worker, name, holds, waits)
}

// later returns the same graph, taken 1.5 s later.
func later(s Snapshot) Snapshot {
	s.At += 1500 * time.Millisecond
	return s
}

func of(names ...string) []string { return names }

// residueOf returns the names of the stuck workers.
func residueOf(t *testing.T, s Snapshot) []string {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatalf("the graph of the test is wrong: %v", err)
	}
	names := []string{}
	for _, i := range Reduce(s) {
		names = append(names, s.Processes[i].Name)
	}
	return names
}

var thresholds = DefaultThresholds(time.Second)

// still analyzes a graph that stood still for 1.5 s while attempts went on.
func still(k *sketch) Analysis {
	return Analyze(k.s, later(k.s), Activity{Attempts: 100}, thresholds)
}

// with adds a resource.
func (k *sketch) with(r Resource) *sketch {
	k.s.Resources = append(k.s.Resources, r)
	return k
}
