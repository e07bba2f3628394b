package swarm

import (
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

func crowded(name string) bool { return name == "crowd" }

// A crowd takes every slot that is free or comes free, and leaves when its time is
// over, or when the swarm stops.
func TestCrowd(t *testing.T) {
	b := newBench(t, 16)
	set := Defaults()
	set.Instances, set.Holder, set.Lock.HoldMS = 2, HolderRedials, 20
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 3 })
	begun := time.Now()
	s.Crowd(20, time.Second)
	b.eventually("the server is full", func() bool { return b.connections(anyName)+server.ControlConnections == 16 })
	b.eventually("who hangs up finds no slot again", func() bool { return s.Snapshot().Dialing == 1 })
	b.eventually("they leave", func() bool { return b.connections(crowded) == 0 })
	if stayed := time.Since(begun); stayed < time.Second {
		t.Errorf("they left after %v", stayed)
	}
	was := s.Snapshot().Decisions
	b.eventually("decisions again", func() bool { return s.Snapshot().Decisions > was+3 })
	s.Crowd(20, time.Hour)
	b.eventually("another crowd", func() bool { return b.connections(crowded) > 8 })
	s.Stop()
	b.eventually("nobody is left", func() bool { return b.connections(anyName) == 0 })
	s.Crowd(20, time.Hour) // of no effect
}
