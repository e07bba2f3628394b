package swarm

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/faults"
	"github.com/lockjam/lockjam/harness/history"
)

// behindProxy lets the swarm dial the server through a proxy.
func (b *bench) behindProxy() *faults.Proxy {
	b.t.Helper()
	p, err := faults.Start(b.target.Addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(p.Stop)
	b.target.Addr = p.Addr()
	return p
}

// impatient has one worker that tries again by itself, and a client that does so for
// it or does not.
func impatient(retries int) Settings {
	set := Defaults()
	set.Client.ReadTimeoutMS, set.Client.MaxRetries = 50, retries
	return set
}

// loseGrant lets the one worker have the lock, and the answer get lost. The lock may
// be tried for in the moment between the two steps, and then it has no holder: once more.
func (b *bench) loseGrant(p *faults.Proxy, s *Swarm) (token string) {
	b.t.Helper()
	const lock = "lock:t:0"
	for range 50 {
		b.control.Admin.Set(b.t.Context(), lock, "somebody", 0)
		p.Heal()
		before := s.Snapshot().Commands
		b.eventually("tries", func() bool { return s.Snapshot().Commands > before+2 })
		dials := s.Snapshot().Dials
		p.DropReplies()
		b.control.Admin.Del(b.t.Context(), lock)
		for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if token := b.control.Admin.Get(b.t.Context(), lock).Val(); token != "" {
				b.givenUp(s, dials)
				p.Heal()
				return token
			}
		}
	}
	b.t.Fatal("nobody took the lock")
	return ""
}

// givenUp waits until the one connection that there was is replaced, for an answer did
// not come: it is on its way for a while after Redis has done what it was asked, and
// would be heard if it was not dropped for as long.
func (b *bench) givenUp(s *Swarm, dials int64) {
	b.t.Helper()
	b.eventually("gives the answer up and dials", func() bool { return s.Snapshot().Dials > dials })
}

// A worker whose answer was lost waits for itself, whichever layer tries again, and finds
// out where he asks whose the lock is.
func TestLostReply(t *testing.T) {
	for name, retries := range map[string]int{"the worker tries again": -1, "go-redis tries again": 2} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 32)
			p := b.behindProxy()
			b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
			s := b.start(impatient(retries))
			defer s.Stop()
			token := b.loseGrant(p, s)
			before := s.Snapshot()
			b.eventually("more tries", func() bool { return s.Snapshot().Commands > before.Commands+20 })
			census := s.Census()
			if s.Snapshot().Grants != 0 || census[0].State != "waiting" || census[0].Token != token ||
				!strings.HasPrefix(token, "1:") {
				t.Errorf("Redis has %q, and the worker is %+v", token, census[0])
			}
		})
		t.Run(name+", and asks", func(t *testing.T) {
			b := newBench(t, 32)
			p := b.behindProxy()
			b.control.Admin.Set(t.Context(), "lock:t:0", "somebody", 0)
			set := impatient(retries)
			set.Lock.Verify = true
			s := b.start(set)
			defer s.Stop()
			b.loseGrant(p, s)
			b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 5 })
		})
	}
}

// Another worker's lock is not taken, asked or not.
func TestVerifyTakesNobodysLock(t *testing.T) {
	b := newBench(t, 32)
	b.control.Admin.Set(t.Context(), "lock:t:0", "1:1:somebody", 0)
	set := Defaults()
	set.Lock.Verify = true
	s := b.start(set)
	defer s.Stop()
	b.eventually("tries", func() bool { return s.Snapshot().Commands > 40 })
	if n := s.Snapshot().Grants; n != 0 {
		t.Errorf("%d grants", n)
	}
}

// A release whose answer was lost has been done, and finds nothing to do when it is
// tried again: the lock was not taken away.
func TestReleaseThatWasDoneIsNoConflict(t *testing.T) {
	for name, retries := range map[string]int{"the worker tries again": -1, "go-redis tries again": 2} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 32)
			p := b.behindProxy()
			set := impatient(retries)
			set.Limiter.Limit = 0 // nothing to write: what comes after the work is the release
			set.Lock.HoldMS = 20
			var works, dials atomic.Int64
			var s *Swarm
			started := make(chan struct{})
			s = b.startWith(set, func(int) {
				if works.Add(1) == 2 { // by the first the server knows the script
					<-started
					dials.Store(s.Snapshot().Dials)
					p.DropReplies()
				}
			})
			close(started)
			b.eventually("a release that was done", func() bool {
				return works.Load() == 2 && b.control.Admin.Exists(t.Context(), "lock:t:0").Val() == 0
			})
			b.givenUp(s, dials.Load())
			p.Heal()
			b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 3 })
			s.Stop()
			if n := s.Snapshot().Errors[history.Conflict]; n != 0 {
				t.Errorf("%d conflicts", n)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if op := b.ops[1]; op.Outcome != history.OK || op.Class == history.Conflict ||
				op.Released == history.Never {
				t.Errorf("%+v", op)
			}
		})
	}
}
