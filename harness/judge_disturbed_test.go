package harness

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/watch"
)

// silenced takes the server's part out of the samples of a stretch, and has the server
// spend a share of every moment outside of it, and of that stretch, on a CPU.
func silenced(h *history.History, from, to time.Duration, busy float64) *history.History {
	spent := time.Second
	for i := range h.Samples {
		s := &h.Samples[i]
		silent := s.At >= from && s.At < to
		if silent {
			s.Server, s.Error = nil, watch.NoAnswer
			spent += time.Duration(busy * float64(watch.SampleEvery))
		} else {
			s.Swarm.Commands = int64(i)
			s.Server.CPU = spent
			spent += watch.SampleEvery / 2
		}
		s.ServerCPU = spent
	}
	return h
}

func TestSilentServerIsInconclusive(t *testing.T) {
	cured := func() *history.History {
		return newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled()
	}
	pausing, arm := testScenario()
	pausing.Trigger.Kind, pausing.Trigger.ForMS = "pause", 1500
	surging, _ := testScenario()
	older := silenced(cured(), 4*second, 6*second, 0)
	for i := range older.Samples {
		older.Samples[i].ServerCPU = 0
		if s := older.Samples[i].Server; s != nil {
			s.CPU = 0
		}
	}
	for _, c := range []struct {
		name    string
		history *history.History
		paused  bool
		said    string // "" for an arm that is judged
	}{
		{"nothing is wrong", silenced(cured(), 0, 0, 0), false, ""},
		{"stopped in the incident", silenced(cured(), 1200*time.Millisecond, 2800*time.Millisecond, 0), false, "did not answer for 1.6 s, from 1.2 s on"},
		{"stopped for good", silenced(cured(), 4*second, 7*second, 0), false, "did not answer for 2.0 s, from 4.0 s to the end"},
		{"stopped in the baseline", silenced(newLiteral().work(0, second, 200).sampled(), 0, 1500*time.Millisecond, 0), false, "did not answer for 1.5 s"},
		{"for half a second", silenced(cured(), 4*second, 4500*time.Millisecond, 0), false, ""},
		// In a storm of connections it answers no client for seconds, and works all the while.
		{"too busy to answer", silenced(cured(), 1200*time.Millisecond, 2800*time.Millisecond, 0.4), false, ""},
		{"paused by the trigger", silenced(cured(), second, 2500*time.Millisecond, 0), true, ""},
		{"paused by the trigger, and not over in time", silenced(cured(), second, 5*second, 0), true, "did not answer for 1.5 s"},
		{"a journal that has no CPU time", older, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := surging
			if c.paused {
				sc = pausing
			}
			r := Judge(sc, arm, c.history)
			if c.said == "" && r.Outcome != Pass {
				t.Errorf("%s %v", r.Outcome, r.Reasons)
			}
			if c.said != "" && (r.Outcome != Inconclusive || r.Verdict != "" || !strings.Contains(strings.Join(r.Reasons, "; "), c.said)) {
				t.Errorf("%s %q %v; want %q", r.Outcome, r.Verdict, r.Reasons, c.said)
			}
			if r.Goodput.Before == nil || r.Goodput.During == nil {
				t.Error("its figures are missing")
			}
		})
	}
}

// Where a handshake is a sleep of the server's, silence is the swarm's own doing.
func TestSilenceOfHandshakes(t *testing.T) {
	h := silenced(newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled(), 1200*time.Millisecond, 2800*time.Millisecond, 0)
	sc, arm := testScenario()
	sc.Swarm.Client.HandshakeMS = 20
	if r := Judge(sc, arm, h); r.Outcome != Pass || r.Verdict != Cured {
		t.Errorf("%s %q %v", r.Outcome, r.Verdict, r.Reasons)
	}
}

// A worker that is answered shows that the server is there, whatever the sampler hears.
func TestServerThatAnswersWorkersIsNotSilent(t *testing.T) {
	h := silenced(newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled(), 4*second, 6*second, 0)
	for i := range h.Samples {
		h.Samples[i].Swarm.Commands = int64(i)
	}
	sc, arm := testScenario()
	if r := Judge(sc, arm, h); r.Outcome != Pass || r.Verdict != Cured {
		t.Errorf("%s %q %v", r.Outcome, r.Verdict, r.Reasons)
	}
}

func TestLimitChangedByAnotherHand(t *testing.T) {
	history := func(step string) *history.History {
		l := newLiteral().work(0, second, 200).work(3*second, 6*second, 200)
		if step != "" {
			l.h.Marks = append(l.h.Marks[:len(l.h.Marks)-1:len(l.h.Marks)-1],
				history.Mark{At: 3100 * time.Millisecond, Kind: history.StepMark, Name: step}, l.h.Marks[len(l.h.Marks)-1])
		}
		h := l.sampled()
		for i := range h.Samples {
			if h.Samples[i].At > 3200*time.Millisecond {
				h.Samples[i].Server.MaxClients = 10_000
			}
		}
		return h
	}
	sc, arm := testScenario()
	sc.Server.MaxClients = 32
	if r := Judge(sc, arm, history("")); r.Outcome != Inconclusive || r.Verdict != "" ||
		!strings.Contains(r.Reasons[0], "maxclients was 32 and is 10000 from 3.3 s on") {
		t.Errorf("by hand: %s %q %v", r.Outcome, r.Verdict, r.Reasons)
	}
	if r := Judge(sc, arm, history("CONFIG SET maxclients 10000")); r.Verdict != Cured {
		t.Errorf("by the remedy: %s %q %v", r.Outcome, r.Verdict, r.Reasons)
	}
}

// An arm whose incident did not take place shows its figures, and expects nothing.
func TestNotReproducedShowsItsFigures(t *testing.T) {
	sc, arm := testScenario()
	r := Judge(sc, arm, newLiteral().work(0, 6*second, 200).sampled())
	if r.Outcome != Inconclusive || len(r.Reasons) != 1 {
		t.Fatalf("%s %v", r.Outcome, r.Reasons)
	}
	if r.Goodput.During == nil || *r.Goodput.During < 190 || len(r.Signals) == 0 {
		t.Errorf("%+v, %d signals", r.Goodput, len(r.Signals))
	}
	for _, s := range r.Signals {
		if s.Expected != "any" || !s.Met {
			t.Errorf("%s is expected to %s", s.Name, s.Expected)
		}
	}
}

// A rate that is low and steady is no relapse, however short the arm; work that stops
// for longer than anything in force explains is one.
func TestLowRateIsNoRelapse(t *testing.T) {
	baseline := func() *literal { return newLiteral().work(0, second, 400) }
	sc, arm := testScenario()
	for _, c := range []struct {
		name    string
		history *literal
		verdict Verdict
		because string
	}{
		{"one grant every 50 ms, to the end", baseline().work(3*second, 6*second, 20), NoEffect, "Goodput was 5% of the baseline: 60 grants in the 3.0 s that followed, never more than 50 ms apart."},
		{"one every 700 ms, which is longer than any timeout", baseline().work(3*second, 6*second, 1/0.7), NoEffect, "never more than 700 ms apart"},
		{"for a second, and none for two", baseline().work(3*second, 4*second, 20), Relapsed, "Work went on for 20 grants and stood still again"},
		{"one grant, and none for three", baseline().work(3*second, 3*second+50*time.Millisecond, 20), Relapsed, "Work went on for 1 grant and"},
	} {
		r := Judge(sc, arm, c.history.sampled())
		if r.Verdict != c.verdict || !strings.Contains(r.Because, c.because) {
			t.Errorf("%s: %s: %s", c.name, r.Verdict, r.Because)
		}
	}
	// A remedy that was tried twice, 1.6 s apart, moved something each time: the pause between
	// is its own, and what stands still for 1.3 s after it has relapsed.
	twice := baseline().work(3*second, 3100*time.Millisecond, 20).work(4600*time.Millisecond, 4700*time.Millisecond, 20)
	twice.mark(4550*time.Millisecond, history.RemedyMark, history.Applied, "")
	if r := Judge(sc, arm, twice.sampled()); r.Verdict != Relapsed {
		t.Errorf("tried twice: %s: %s", r.Verdict, r.Because)
	}
}

// A foreign client whose slot could be all that is needed makes the proof impossible;
// no reason for that is empty.
func TestForeignClientMakesTheProofImpossible(t *testing.T) {
	h := newLiteral().work(0, second, 200).sampled()
	for _, at := range []time.Duration{1500 * time.Millisecond, 2800 * time.Millisecond} {
		c := slotLock(at)
		c.Slots, c.Clients["cron"] = 3, 1
		c.Foreign = []history.Foreign{{Name: "cron", Host: "10.0.0.7", Connections: 1}}
		h.Census = append(h.Census, c)
	}
	sc, arm := testScenario()
	sc.Incident.Kind = "deadlock"
	r := Judge(sc, arm, h)
	if r.Outcome != Inconclusive || len(r.Reasons) != 1 || !strings.Contains(r.Reasons[0], `"cron at 10.0.0.7" holds 1 of 3 client slots`) {
		t.Errorf("%s %q", r.Outcome, r.Reasons)
	}
	if len(r.Foreign) != 1 || r.Foreign[0].String() != "cron at 10.0.0.7" || r.Verdict != NoEffect {
		t.Errorf("foreign %v, %s", r.Foreign, r.Verdict)
	}
	// With locks whose owner is dead it could do nothing, and the proof stands.
	for i := range h.Census {
		h.Census[i].Workers = h.Census[i].Workers[:2]
	}
	sc.Incident.Kind = "orphaned"
	if r := Judge(sc, arm, h); r.Outcome != Pass || !r.Deadlock.Proved {
		t.Errorf("%s %v %+v", r.Outcome, r.Reasons, r.Deadlock)
	}
}

func TestReasonsAreNeverEmpty(t *testing.T) {
	sc, arm := testScenario()
	sc.Incident.Kind = "deadlock"
	idle := func(at time.Duration) history.Census {
		return history.Census{At: at, Slots: 2, Workers: []history.WorkerState{{Worker: 1, State: "idle", Client: "c1"}}}
	}
	free := func(at time.Duration) history.Census {
		c := slotLock(at)
		c.Slots, c.Locks, c.Workers = 9, nil, c.Workers[:2]
		c.After.Attempts = int64(at / time.Millisecond)
		return c
	}
	for name, census := range map[string]func(time.Duration) history.Census{
		"no census": nil, "nobody waits": idle, "what they wait for is free": free,
	} {
		h := newLiteral().work(0, second, 200).sampled()
		if census != nil {
			h.Census = []history.Census{census(1500 * time.Millisecond), census(2800 * time.Millisecond)}
		}
		r := Judge(sc, arm, h)
		if r.Outcome != Fail || len(r.Reasons) != 1 || strings.HasSuffix(strings.TrimSpace(r.Reasons[0]), ":") {
			t.Errorf("%s: %s %q", name, r.Outcome, r.Reasons)
		}
		t.Log(r.Reasons)
	}
}

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
	if got, want := said(foreign(list, "lockjam", false)), "++an unnamed client at 10.0.0.7, +cron at [::1], +lockjam-watch at 127.0.0.1"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got, want := said(foreign(list, "lockjam", true)), "+cron at [::1], +lockjam-watch at 127.0.0.1"; got != want {
		t.Errorf("through a proxy: %s; want %s", got, want)
	}
	// A user without the right to name connections: the swarm's have no name either.
	if got, want := said(foreign(strings.ReplaceAll(list, "lockjam-control-admin", ""), "lockjam", false)), "+cron at [::1], +lockjam-watch at 127.0.0.1"; got != want {
		t.Errorf("without names: %s; want %s", got, want)
	}
}

// handed runs the quick scenario's control arm, with a longer incident that is expected
// to be proved of a kind, and lets a hand act on its server as phases begin.
func handed(t *testing.T, kind string, act func(ctx context.Context, phase string, s server.Server)) ArmResult {
	t.Helper()
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	source := strings.NewReplacer("VERDICT", "no-effect", "incident_ms: 800", "incident_ms: 2500", "incident: {", "incident: {"+kind).Replace(quick)
	sc, err := scenario.Parse("quick.yaml", []byte(source), Known())
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
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
	o.Observe = func(e Event) {
		if e.Kind != PhaseEvent {
			return
		}
		mu.Lock()
		s := on
		mu.Unlock()
		hand.Go(func() { act(context.WithoutCancel(t.Context()), e.Name, s) })
	}
	run, folder, err := RunSuite(t.Context(), o)
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
			if a.Outcome != Inconclusive || !strings.Contains(strings.Join(a.Reasons, "; "), c.said) || a.Verdict != "" {
				t.Errorf("%s %q %v", a.Outcome, a.Verdict, a.Reasons)
			}
		})
	}
}

func byHand(t *testing.T, s server.Server, name string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: s.Endpoint().Addr, ClientName: name, Protocol: 2, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, ConnMaxIdleTime: -1,
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
	if a.Outcome != Inconclusive || !strings.Contains(strings.Join(a.Reasons, "; "), "cron at 127.0.0.1") {
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
	if a.Outcome != Inconclusive || a.Verdict != "" || !strings.Contains(strings.Join(a.Reasons, "; "), "another client changed the server") {
		t.Errorf("%s %q %v", a.Outcome, a.Verdict, a.Reasons)
	}
}
