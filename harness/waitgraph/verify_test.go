package waitgraph

import (
	"slices"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	// The tokens of a sketch are the names of the processes.
	graph := draw(slots(4), lock("A"), lock("B")).
		worker("w1", of("A"), of("server")).
		worker("w2", of("server"), of("A")).
		add(Idler, "pool", of("server", "server"), nil).s
	tests := []struct {
		name      string
		seen      ServerState
		confirmed int
		unchecked int
		want      []string
	}{
		{"it agrees", ServerState{Locks: map[string]string{"A": "w1"}, Clients: map[string]int{"w2": 1, "pool": 2}},
			4, 0, nil},
		{"clients not read", ServerState{Locks: map[string]string{"A": "w1"}}, 1, 3, nil},
		{"nothing read", ServerState{}, 0, 4, nil},
		{"the lock expired or was deleted", ServerState{Locks: map[string]string{}}, 0, 3,
			[]string{`w1 claims lock "A", but Redis has no such key`}},
		{"the lock has another token", ServerState{Locks: map[string]string{"A": "stranger"}}, 0, 3,
			[]string{`w1 claims lock "A" with token "w1", but Redis has token "stranger"`}},
		{"an unclaimed lock", ServerState{Locks: map[string]string{"A": "w1", "B": "stranger"}}, 1, 3,
			[]string{`Redis has lock "B" with token "stranger", which no process claims`}},
		// w2 has the lock but does not know it, since the reply was lost.
		{"a waiter owns what it waits for", ServerState{Locks: map[string]string{"A": "w2"}}, 0, 3,
			[]string{`w1 claims lock "A" with token "w1", but Redis has token "w2"`,
				`w2 waits for lock "A", but Redis names it as the owner`}},
		{"a connection was cut", ServerState{Locks: map[string]string{"A": "w1"},
			Clients: map[string]int{"pool": 2}}, 3, 0,
			[]string{`Redis lists 0 connections named "w2", but 1 are claimed`}},
		{"an unclaimed connection",
			ServerState{Locks: map[string]string{"A": "w1"}, Clients: map[string]int{"w2": 1, "pool": 3, "": 1}}, 4, 0,
			[]string{`Redis lists 1 connections named "", but 0 are claimed`,
				`Redis lists 3 connections named "pool", but 2 are claimed`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Verify(graph, tt.seen)
			var got []string
			for _, x := range c.Contradictions {
				got = append(got, x.String())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if c.Confirmed != tt.confirmed || c.Unchecked != tt.unchecked {
				t.Errorf("%d confirmed, %d unchecked; want %d and %d", c.Confirmed, c.Unchecked, tt.confirmed,
					tt.unchecked)
			}
		})
	}
}

func TestMismatches(t *testing.T) {
	s := draw(slots(4), lock("A"), lock("B"), lock("C")).
		worker("w1", of("A", "server"), nil).worker("w2", of("B", "server"), nil).worker("w3", nil, of("C")).s
	c := Verify(s, ServerState{
		Locks:   map[string]string{"B": "thief", "C": "w3", "D": "stranger"},
		Clients: map[string]int{"w1": 2},
	})
	want := []Contradiction{
		{LockGone, "w1", "A", "w1", ""}, {LockOfAnother, "w2", "B", "w2", "thief"},
		{LockOfWaiter, "w3", "C", "", "w3"}, {LockUnclaimed, "", "D", "", "stranger"},
		{ConnectionsUnclaimed, "w1", "w1", "1", "2"}, {ConnectionsGone, "w2", "w2", "1", "0"},
	}
	if !slices.Equal(c.Contradictions, want) {
		t.Errorf("%+v\nwant\n%+v", c.Contradictions, want)
	}
}

// A long list of contradictions is truncated in the reasons.
func TestManyContradictions(t *testing.T) {
	s := slotLock(30).s
	b := later(s)
	c := Verify(b, ServerState{Clients: map[string]int{}})
	b.Check = &c
	f := Analyze(s, b, Activity{}, thresholds)
	if len(c.Contradictions) != 30 || len(f.Reasons) != 4 ||
		f.Reasons[3] != "the second snapshot: 27 more contradictions" {
		t.Errorf("%d contradictions, reasons %q", len(c.Contradictions), f.Reasons)
	}
}
