package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/sampler"
)

// silenced takes the server's part out of the samples of a stretch, and has the server
// spend a share of every moment outside of it, and of that stretch, on a CPU.
func silenced(h *history.History, from, to time.Duration, busy float64) *history.History {
	spent := time.Second
	for i := range h.Samples {
		s := &h.Samples[i]
		silent := s.At >= from && s.At < to
		if silent {
			s.Server, s.Error = nil, sampler.NoAnswer
			spent += time.Duration(busy * float64(sampler.Every))
		} else {
			s.Swarm.Commands = int64(i)
			s.Server.CPU = spent
			spent += sampler.Every / 2
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
		{"stopped in the incident", silenced(cured(), 1200*time.Millisecond, 2800*time.Millisecond, 0), false,
			"did not answer for 1.6 s, from 1.2 s on"},
		{"stopped for good", silenced(cured(), 4*second, 7*second, 0), false,
			"did not answer for 2.0 s, from 4.0 s to the end"},
		{"stopped in the baseline", silenced(newLiteral().work(0, second, 200).sampled(), 0, 1500*time.Millisecond, 0),
			false, "did not answer for 1.5 s"},
		{"for half a second", silenced(cured(), 4*second, 4500*time.Millisecond, 0), false, ""},
		// In a storm of connections it answers no client for seconds, and works all the while.
		{"too busy to answer", silenced(cured(), 1200*time.Millisecond, 2800*time.Millisecond, 0.4), false, ""},
		{"paused by the trigger", silenced(cured(), second, 2500*time.Millisecond, 0), true, ""},
		{"paused by the trigger, and not over in time", silenced(cured(), second, 5*second, 0), true,
			"did not answer for 1.5 s"},
		{"a journal that has no CPU time", older, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := surging
			if c.paused {
				sc = pausing
			}
			r := Judge(sc, arm, c.history)
			if c.said == "" && r.Outcome != result.Pass {
				t.Errorf("%s %v", r.Outcome, r.Reasons)
			}
			if c.said != "" && (r.Outcome != result.Inconclusive || r.Verdict != "" ||
				!strings.Contains(strings.Join(r.Reasons, "; "), c.said)) {
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
	h := silenced(newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled(), 1200*time.Millisecond,
		2800*time.Millisecond, 0)
	sc, arm := testScenario()
	sc.Swarm.Client.HandshakeMS = 20
	if r := Judge(sc, arm, h); r.Outcome != result.Pass || r.Verdict != result.Cured {
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
	if r := Judge(sc, arm, h); r.Outcome != result.Pass || r.Verdict != result.Cured {
		t.Errorf("%s %q %v", r.Outcome, r.Verdict, r.Reasons)
	}
}

func TestLimitChangedByAnotherHand(t *testing.T) {
	history := func(step string) *history.History {
		l := newLiteral().work(0, second, 200).work(3*second, 6*second, 200)
		if step != "" {
			l.h.Marks = append(l.h.Marks[:len(l.h.Marks)-1:len(l.h.Marks)-1],
				history.Mark{At: 3100 * time.Millisecond, Kind: history.StepMark, Name: step},
				l.h.Marks[len(l.h.Marks)-1])
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
	if r := Judge(sc, arm, history("")); r.Outcome != result.Inconclusive || r.Verdict != "" ||
		!strings.Contains(r.Reasons[0], "maxclients was 32 and is 10000 from 3.3 s on") {
		t.Errorf("by hand: %s %q %v", r.Outcome, r.Verdict, r.Reasons)
	}
	if r := Judge(sc, arm, history("CONFIG SET maxclients 10000")); r.Verdict != result.Cured {
		t.Errorf("by the remedy: %s %q %v", r.Outcome, r.Verdict, r.Reasons)
	}
}

// An arm whose incident did not take place shows its figures, and expects nothing.
func TestNotReproducedShowsItsFigures(t *testing.T) {
	sc, arm := testScenario()
	r := Judge(sc, arm, newLiteral().work(0, 6*second, 200).sampled())
	if r.Outcome != result.Inconclusive || len(r.Reasons) != 1 {
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
		verdict result.Verdict
		because string
	}{
		{"one grant every 50 ms, to the end", baseline().work(3*second, 6*second, 20), result.NoEffect,
			"Goodput was 5% of the baseline: 60 grants in the 3.0 s afterwards, never more than 50 ms apart."},
		{"one every 700 ms, which is longer than any timeout", baseline().work(3*second, 6*second, 1/0.7),
			result.NoEffect, "never more than 700 ms apart"},
		{"for a second, and none for two", baseline().work(3*second, 4*second, 20), result.Relapsed,
			"Work went on for 20 grants and stood still again"},
		{"one grant, and none for three", baseline().work(3*second, 3*second+50*time.Millisecond, 20), result.Relapsed,
			"Work went on for 1 grant and"},
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
	if r := Judge(sc, arm, twice.sampled()); r.Verdict != result.Relapsed {
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
	if r.Outcome != result.Inconclusive || len(r.Reasons) != 1 ||
		!strings.Contains(r.Reasons[0], `"cron at 10.0.0.7" holds 1 of 3 client slots`) {
		t.Errorf("%s %q", r.Outcome, r.Reasons)
	}
	if len(r.Foreign) != 1 || r.Foreign[0].String() != "cron at 10.0.0.7" || r.Verdict != result.NoEffect {
		t.Errorf("foreign %v, %s", r.Foreign, r.Verdict)
	}
	// With locks whose owner is dead it could do nothing, and the proof stands.
	for i := range h.Census {
		h.Census[i].Workers = h.Census[i].Workers[:2]
	}
	sc.Incident.Kind = "orphaned"
	if r := Judge(sc, arm, h); r.Outcome != result.Pass || !r.Deadlock.Proved {
		t.Errorf("%s %v %+v", r.Outcome, r.Reasons, r.Deadlock)
	}
}

func TestReasonsAreNeverEmpty(t *testing.T) {
	sc, arm := testScenario()
	sc.Incident.Kind = "deadlock"
	idle := func(at time.Duration) history.Census {
		return history.Census{At: at, Slots: 2,
			Workers: []history.WorkerState{{Worker: 1, State: "idle", Client: "c1"}}}
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
		if r.Outcome != result.Fail || len(r.Reasons) != 1 || strings.HasSuffix(strings.TrimSpace(r.Reasons[0]), ":") {
			t.Errorf("%s: %s %q", name, r.Outcome, r.Reasons)
		}
		t.Log(r.Reasons)
	}
}
