package swarm

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

// What is leaked is connected and idle, under the names of the instances in turn,
// and gone when the swarm is.
func TestLeak(t *testing.T) {
	b := newBench(t, 64)
	set := Defaults()
	set.Instances = 3
	s := b.start(set)
	s.Leak(Leak{PerS: 500, Count: 10})
	b.eventually("ten are leaked", func() bool { return b.connections(Leaks) == 10 })
	time.Sleep(50 * time.Millisecond) // of 25 more, if it had no end
	for name, want := range map[string]int{"0-leak": 4, "1-leak": 3, "2-leak": 3} {
		if n := b.connections(func(client string) bool { return client == name }); n != want {
			t.Errorf("%d connections are called lockjam-%s, want %d", n, name, want)
		}
	}
	was := s.Snapshot().Decisions
	b.eventually("the workers go on", func() bool { return s.Snapshot().Decisions > was+10 })
	if len(s.Census()) != 3 {
		t.Error("who leaks is no worker")
	}
	s.Stop()
	b.eventually("all connections are closed", func() bool { return b.connections(anyName) == 0 })
	s.Leak(Leak{PerS: 500, Count: 10}) // of no effect
}

// A pool of its own bounds what an instance can leak.
func TestLeakFromABoundedPool(t *testing.T) {
	b := newBench(t, 64)
	set := Defaults()
	set.Instances, set.Client.PoolTimeoutMS = 2, 5
	s := b.start(set)
	defer s.Stop()
	s.Leak(Leak{PerS: 500, Count: 50, PoolSize: 3})
	b.eventually("both pools are empty", func() bool { return b.connections(Leaks) == 6 })
	time.Sleep(50 * time.Millisecond)
	if n := b.connections(Leaks); n != 6 {
		t.Errorf("%d connections of two pools of three", n)
	}
}

// A full server refuses the leak as well, which goes on when there is room; and
// what a process has leaked ends with it.
func TestLeakAtAFullServer(t *testing.T) {
	b := newBench(t, 16)
	set := Defaults()
	set.Instances = 1
	s := b.start(set)
	defer s.Stop()
	s.Leak(Leak{PerS: 500, Count: 40})
	b.eventually("the server is full", func() bool { return b.connections(anyName)+server.ControlConnections == 16 })
	dials := s.Snapshot().Dials
	b.eventually("it goes on trying", func() bool { return s.Snapshot().Dials > dials+10 })
	b.control.Admin.ConfigSet(t.Context(), "maxclients", "100")
	b.eventually("it goes on leaking", func() bool { return b.connections(Leaks) == 40 })
	// By their numbers, which a server never uses twice: the last one may not have been
	// counted yet, and then the new process leaks one more.
	leaked := b.leaked()
	if err := s.Rollout(t.Context(), set, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	b.eventually("what the old process leaked is gone", func() bool {
		return !slices.ContainsFunc(b.leaked(), func(id string) bool { return slices.Contains(leaked, id) })
	})
}

// leaked are the ids of the connections that are leaked now.
func (b *bench) leaked() (ids []string) {
	b.t.Helper()
	list, err := b.control.Admin.ClientList(context.Background()).Result()
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		if strings.Contains(line, leakSuffix+" ") {
			id, _, _ := strings.Cut(line, " ")
			ids = append(ids, id)
		}
	}
	return ids
}
