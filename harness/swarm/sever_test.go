package swarm

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// A worker that is cut lives on: it keeps its lock, finishes its work, dials again, and
// releases. Nothing that was asked for is lost.
func TestSeverHolders(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.Arrivals.Tenant = 9, 3, TenantByWorker
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	dials := s.Snapshot().Dials
	if cut := s.SeverHolders(t.Context(), 10*time.Second); cut != 3 {
		t.Errorf("%d were cut, want one holder of each of 3 locks", cut)
	}
	decided := s.Snapshot().Decisions
	b.eventually("they go on", func() bool { return s.Snapshot().Decisions > decided+20 })
	if more := s.Snapshot().Dials - dials; more != 3 {
		t.Errorf("%d dials, want one of each who was cut", more)
	}
	x := s.Snapshot()
	if x.Workers != 9 || x.Crashes != 0 || x.Errors != [history.Classes]int64{} {
		t.Errorf("%+v: want 9 workers alive, and no errors", x)
	}
	if n := b.connections(anyName); n != 9 {
		t.Errorf("%d connections of 9 workers", n)
	}
	s.Stop()
	checkGrants(t, b.ops)
}

// On a full server the slot is gone before the holder dials.
func TestSeverHoldersOfAFullServer(t *testing.T) {
	b := newBench(t, 4+server.ControlConnections)
	set := Defaults()
	set.Instances, set.Lock.HoldMS = 4, 50
	s := b.start(set)
	defer s.Stop()
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 2 })
	s.Scale(12)
	if !s.AwaitRefusals(t.Context(), 12) {
		t.Fatal("nobody was refused")
	}
	if cut := s.SeverHolders(t.Context(), 10*time.Second); cut != 1 {
		t.Fatalf("%d were cut of the one holder", cut)
	}
	b.eventually("the holder dials, and all others wait",
		func() bool { x := s.Snapshot(); return x.Dialing == 1 && x.Waiting == 11 })
	grants := s.Snapshot().Grants
	b.eventually("all of them have been refused again",
		func() bool { return s.Snapshot().Errors[history.Refused] > 100 })
	if x := s.Snapshot(); x.Grants != grants || x.Dialing != 1 {
		t.Errorf("%+v: want a standstill", x)
	}
}

// Locks that are not taken are not waited for, and no worker is cut later on.
func TestSeverHoldersGivesUpOnIdleLocks(t *testing.T) {
	b := newBench(t, 32)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.Arrivals.Tenant = 2, 3, TenantByWorker
	s := b.start(set)
	defer s.Stop()
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions > 20 })
	if cut := s.SeverHolders(t.Context(), 200*time.Millisecond); cut != 2 {
		t.Errorf("%d were cut, want the holders of the 2 locks that are used", cut)
	}
	if left := s.severs.left(); left != 0 {
		t.Errorf("%d are still to be cut", left)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if s.AwaitRefusals(over, 1) || s.SeverHolders(over, time.Hour) != 0 {
		t.Error("it waits, though nobody wants to know any more")
	}
}

// A connection that is cut is gone from the server, and from the client's own count.
func TestSever(t *testing.T) {
	b := newBench(t, 32)
	l := b.oneLink(nil)
	if err := l.client.lib.rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	d := l.client.dial
	if d.open.Load() != 1 || len(d.conns) != 1 {
		t.Fatalf("%d open, %d known: want 1", d.open.Load(), len(d.conns))
	}
	d.sever()
	if d.open.Load() != 0 || len(d.conns) != 0 {
		t.Errorf("%d open, %d known: want 0", d.open.Load(), len(d.conns))
	}
	b.eventually("the server knows", func() bool {
		list, _ := b.control.Admin.ClientList(t.Context()).Result()
		return !strings.Contains(list, "name=test")
	})
	if err := l.client.lib.rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the next command does not dial again: %v", err)
	}
}
