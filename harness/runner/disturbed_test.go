package runner

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
)

// CLIENT LIST as Redis writes it: the run's own, a Sentinel's and a replica's are not
// foreign, nor is what has come a moment ago.
func TestForeignClients(t *testing.T) {
	const list = `id=3 addr=127.0.0.1:41002 laddr=127.0.0.1:6379 fd=8 name=lockjam-control-admin age=9 idle=0 flags=N db=0 cmd=ping
id=4 addr=127.0.0.1:41004 laddr=127.0.0.1:6379 fd=9 name=lockjam-0-0 age=9 idle=0 flags=N db=0 cmd=set
id=5 addr=127.0.0.1:41006 laddr=127.0.0.1:6379 fd=10 name=lockjam-r12 age=9 idle=0 flags=N db=0 cmd=set
id=6 addr=127.0.0.1:41008 laddr=127.0.0.1:6379 fd=11 name=lockjam-3-leak age=9 idle=0 flags=N db=0 cmd=ping
id=7 addr=127.0.0.1:41010 laddr=127.0.0.1:6379 fd=12 name=lockjam-watch age=9 idle=0 flags=N db=0 cmd=info
id=8 addr=10.0.0.7:41012 laddr=127.0.0.1:6379 fd=13 name= age=300 idle=299 flags=N db=0 cmd=get
id=9 addr=10.0.0.7:41014 laddr=127.0.0.1:6379 fd=14 name= age=300 idle=299 flags=N db=0 cmd=get
id=10 addr=127.0.0.1:41016 laddr=127.0.0.1:6379 fd=15 name= age=1 idle=0 flags=N db=0 cmd=ping
id=11 addr=127.0.0.1:41018 laddr=127.0.0.1:6379 fd=16 name= age=9 idle=0 flags=S db=0 cmd=replconf
id=12 addr=127.0.0.1:41020 laddr=127.0.0.1:6379 fd=17 name=sentinel-1f-cmd age=9 idle=0 flags=N db=0 cmd=ping
id=13 addr=[::1]:41022 laddr=[::1]:6379 fd=18 name=cron age=9 idle=0 flags=N db=0 cmd=ping
`
	said := func(all []history.Foreign) string {
		var s []string
		for _, f := range all {
			s = append(s, strings.Repeat("+", int(f.Connections))+f.String())
		}
		return strings.Join(s, ", ")
	}
	if got, want := said(foreignClients(list, "lockjam", false)),
		"++an unnamed client at 10.0.0.7, +cron at [::1], +lockjam-watch at 127.0.0.1"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got, want := said(foreignClients(list, "lockjam", true)),
		"+cron at [::1], +lockjam-watch at 127.0.0.1"; got != want {
		t.Errorf("through a proxy: %s; want %s", got, want)
	}
	// A user without the right to name connections: the swarm's have no name either.
	if got, want := said(foreignClients(strings.ReplaceAll(list, "lockjam-control-admin", ""), "lockjam", false)),
		"+cron at [::1], +lockjam-watch at 127.0.0.1"; got != want {
		t.Errorf("without names: %s; want %s", got, want)
	}
}

// handed runs the quick scenario's control arm, with a longer incident that is expected
// to be proved of a kind, and lets a hand act on its server as phases begin.
func handed(t *testing.T, kind string, act func(ctx context.Context, phase string, s server.Server)) result.Arm {
	t.Helper()
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	source := strings.NewReplacer("VERDICT", "no-effect", "incident_ms: 800", "incident_ms: 2500", "incident: {",
		"incident: {"+kind).Replace(quick)
	sc, err := scenario.Parse("quick.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	o.Thorough = true // a hand that is slow must not find the arm decided, and over
	start := o.Start
	var mu sync.Mutex
	var on server.Server
	o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, err := start(ctx, spec)
		mu.Lock()
		defer mu.Unlock()
		on = s
		return s, err
	}
	var hand sync.WaitGroup
	o.Observe = func(e result.Event) {
		if e.Kind != result.PhaseEvent {
			return
		}
		mu.Lock()
		s := on
		mu.Unlock()
		hand.Go(func() { act(context.WithoutCancel(t.Context()), e.Name, s) })
	}
	run, folder, err := Run(t.Context(), o)
	hand.Wait()
	if err != nil {
		t.Fatal(err)
	}
	rejudgeGivesTheSameBytes(t, folder)
	return run.Scenarios[0].Arms[0]
}

func TestServerThatIsStoppedByHand(t *testing.T) {
	for _, c := range []struct {
		phase string
		stop  time.Duration // 0: for good
		said  string
	}{
		{history.Incident, 1500 * time.Millisecond, "the server did not answer for 1."},
		{history.Recovery, 0, "to the end"},
	} {
		t.Run(c.phase, func(t *testing.T) {
			a := handed(t, "", func(ctx context.Context, phase string, s server.Server) {
				if phase != c.phase {
					return
				}
				if err := s.Pause(ctx); err != nil {
					t.Error(err)
				}
				if c.stop > 0 {
					time.Sleep(c.stop)
					if err := s.Resume(ctx); err != nil {
						t.Error(err)
					}
				}
			})
			if a.Outcome != result.Inconclusive || !strings.Contains(strings.Join(a.Reasons, "; "), c.said) ||
				a.Verdict != "" {
				t.Errorf("%s %q %v", a.Outcome, a.Verdict, a.Reasons)
			}
		})
	}
}

func byHand(t *testing.T, s server.Server, name string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: s.Endpoint().Addr, ClientName: name, Protocol: 2, PoolSize: 1, MaxRetries: -1, DialerRetries: 1,
		ConnMaxIdleTime: -1,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// One idle client that came before the surge has a slot that a holder could use.
func TestIdleForeignClient(t *testing.T) {
	a := handed(t, "kind: deadlock, ", func(ctx context.Context, phase string, s server.Server) {
		if phase != history.Warmup {
			return
		}
		if err := byHand(t, s, "cron").Ping(ctx).Err(); err != nil {
			t.Error(err)
		}
	})
	if a.Outcome != result.Inconclusive || !strings.Contains(strings.Join(a.Reasons, "; "), "cron at 127.0.0.1") {
		t.Errorf("%s %q", a.Outcome, a.Reasons)
	}
	if len(a.Foreign) != 1 || a.Foreign[0].Name != "cron" {
		t.Errorf("foreign %v", a.Foreign)
	}
}

func TestLimitRaisedByHand(t *testing.T) {
	early := make(chan *redis.Client, 1) // connected while there is room
	a := handed(t, "", func(ctx context.Context, phase string, s server.Server) {
		switch phase {
		case history.Warmup:
			c := byHand(t, s, "hand")
			if err := c.Ping(ctx).Err(); err != nil {
				t.Error(err)
			}
			early <- c
		case history.Recovery:
			if err := (<-early).ConfigSet(ctx, "maxclients", "1000").Err(); err != nil {
				t.Error(err)
			}
		}
	})
	if a.Outcome != result.Inconclusive || a.Verdict != "" ||
		!strings.Contains(strings.Join(a.Reasons, "; "), "another client changed the server") {
		t.Errorf("%s %q %v", a.Outcome, a.Verdict, a.Reasons)
	}
}
