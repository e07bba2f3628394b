package swarm

import (
	"context"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// A holder that cannot dial for as long as it tries fails its request, goes on to
// the next, and leaves its lock to the TTL.
func TestReleaseTimeout(t *testing.T) {
	b := newBench(t, 1+server.ControlConnections)
	set := Defaults()
	set.Holder, set.RedialMS = HolderRedials, 5
	set.Lock.TTLMS, set.Lock.HoldMS, set.Lock.ReleaseTimeoutMS = 60_000, 20, 50
	s := b.startWith(set, func(int) {
		b.eventually("its slot is free", func() bool { return b.connections(anyName) == 0 })
		b.fill()
	})
	defer s.Stop()
	b.eventually("it has given up", func() bool { return len(b.recorded()) == 1 })
	op := b.recorded()[0]
	if op.Outcome != history.Fail || op.Granted == history.Never || op.Released != history.Never ||
		op.Class == history.None {
		t.Errorf("%+v, want a failure after the grant", op)
	}
	if ttl := b.control.Admin.PTTL(t.Context(), "lock:t:0").Val(); ttl <= 0 {
		t.Errorf("the lock it left has %v to live", ttl)
	}
	b.eventually("it asks for the lock again", func() bool {
		w := s.Census()[0]
		return w.State == "waiting" && w.Token != b.control.Admin.Get(t.Context(), "lock:t:0").Val()
	})
}

// A decision that is written stands, whether or not its lock can be released.
func TestReleaseTimeoutAfterTheWrite(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.RedialMS, set.Lock.ReleaseTimeoutMS, set.Arrivals.ThinkMS = 5, 20, 10
	// Scripts are refused: of all that the swarm runs that is the release.
	if err := b.control.Admin.Do(t.Context(), "ACL", "SETUSER", "default", "-eval", "-evalsha").Err(); err != nil {
		t.Skipf("this server has no users to forbid it to: %v", err)
	}
	s := b.start(set)
	b.eventually("a decision", func() bool { return s.Snapshot().Decisions > 0 })
	if err := b.control.Admin.Do(context.Background(), "ACL", "SETUSER", "default", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	op := b.recorded()[0]
	if op.Outcome != history.OK || op.Class != history.Rejected || op.Count == 0 || op.Worked == history.Never ||
		op.Released != history.Never {
		t.Errorf("%+v, want a decision that stands, and no release", op)
	}
}
