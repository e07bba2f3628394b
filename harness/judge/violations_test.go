package judge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/swarm"
)

// broken adds decisions at an even rate, two by two: of each pair the second is granted
// the lock while the first still works, one fault.
func (l *literal) broken(from, to time.Duration, perSecond float64) *literal {
	first := len(l.h.Ops)
	l.work(from, to, perSecond)
	added := l.h.Ops[first:]
	for i := 0; i+1 < len(added); i += 2 {
		added[i].Worked = added[i+1].Granted + time.Microsecond
		added[i].Released, added[i].Ended = added[i].Worked+time.Microsecond, added[i].Worked+2*time.Microsecond
	}
	return l
}

// An incident of faults is told by its faults, however much goodput there is.
func TestFaultsAreReproducedOrNot(t *testing.T) {
	for _, c := range []struct {
		name       string
		incident   func(l *literal)
		reproduced bool
	}{
		{"as many as there have to be", func(l *literal) { l.broken(2*second, 2*second+200*time.Millisecond, 100) },
			true},
		{"one less", func(l *literal) { l.broken(2*second, 2*second+180*time.Millisecond, 100) }, false},
		{"none", func(l *literal) { l.work(second, 3*second, 100) }, false},
		{"a standstill", func(*literal) {}, false},
		// What was broken soon after the trigger, and no more, has ended by itself.
		{"too early", func(l *literal) { l.broken(second, 2*second, 100).work(2*second, 3*second, 100) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLiteral().work(0, second, 200)
			c.incident(l)
			sc, arm := testScenario()
			sc.Incident.Faults = 10
			r := Judge(sc, arm, l.work(3*second, 6*second, 200).sampled())
			if r.Reproduced == nil || *r.Reproduced != c.reproduced ||
				(r.Outcome == result.Inconclusive) == c.reproduced {
				t.Errorf("reproduced %v, outcome %s %v", r.Reproduced, r.Outcome, r.Reasons)
			}
		})
	}
}

func TestRemediesOfFaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		after   func(l *literal) // 3 to 6 s
		verdict result.Verdict
		outcome result.Outcome
		unsafe  bool
	}{
		{"none any more", func(l *literal) { l.work(3*second, 6*second, 100) }, result.Cured, result.Pass, false},
		// A rollout takes a while; what happens in it is the incident's.
		{"none after a second", func(l *literal) { l.broken(3*second, 4*second, 100).work(4*second, 6*second, 100) },
			result.Cured, result.Pass, false},
		// More than the incident's own, and by holders that were granted their locks since: it cures, and does harm.
		{"many more at once, and then none", func(l *literal) {
			l.broken(3*second, 3400*time.Millisecond, 400).work(3400*time.Millisecond, 6*second, 100)
		}, result.Cured, result.Pass, true},
		{"as many as before", func(l *literal) { l.broken(3*second, 6*second, 100) }, result.NoEffect, result.Pass,
			true},
		{"fewer", func(l *literal) { l.broken(3*second, 6*second, 40) }, result.Partial, result.Pass, true},
		{"none, and half the goodput", func(l *literal) { l.work(3*second, 6*second, 50) }, result.Partial, result.Pass,
			false},
		{"none, since nothing moves", func(*literal) {}, result.Partial, result.Pass, false},
		{"too late to tell", func(l *literal) {
			l.broken(3*second, 4900*time.Millisecond, 100).work(4900*time.Millisecond, 6*second, 100)
		}, "", result.Inconclusive, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLiteral().work(0, second, 200).broken(second, 3*second, 100)
			c.after(l)
			sc, arm := testScenario()
			sc.Incident.Faults = 10
			r := Judge(sc, arm, l.sampled())
			if r.Verdict != c.verdict || r.Outcome != c.outcome || r.Unsafe != c.unsafe {
				t.Errorf("verdict %q (%s), unsafe %v, outcome %s %v; want %q, %v, %s", r.Verdict, r.Because, r.Unsafe,
					r.Outcome, r.Reasons, c.verdict, c.unsafe, c.outcome)
			}
			if f := r.FaultsPerS; f == nil || *f.Before != 0 || *f.During != 50 {
				t.Errorf("faults per second: %+v, want 0 before and 50 during", f)
			}
		})
	}
}

// A remedy that ends the faults and leaves goodput on either side of the threshold has
// to be tried again.
func TestRemedyOfFaultsThatStraddles(t *testing.T) {
	l := newLiteral().work(0, second, 200).broken(second, 3*second, 100)
	for i := range 30 {
		from := 3*second + time.Duration(i)*100*time.Millisecond
		l.work(from, from+100*time.Millisecond, map[bool]float64{true: 130, false: 60}[i%2 == 0])
	}
	sc, arm := testScenario()
	sc.Incident.Faults = 10
	if r := Judge(sc, arm, l.sampled()); r.Outcome != result.Inconclusive || !r.Straddles ||
		!strings.Contains(r.Reasons[0], "lies between") {
		t.Errorf("outcome %s %v, straddles %v, verdict %q %+v; want inconclusive", r.Outcome, r.Reasons, r.Straddles,
			r.Verdict, r.Recovery)
	}
}

func TestPreventionsOfFaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		work    func(l *literal) // 1 to 6 s
		verdict result.Verdict
	}{
		{"none", func(l *literal) { l.work(second, 6*second, 100) }, result.Prevented},
		// That the work takes longer is the trigger's doing.
		{"none, and a fifth of the goodput", func(l *literal) { l.work(second, 6*second, 40) }, result.Prevented},
		{"some at first", func(l *literal) { l.broken(second, 2*second, 100).work(2*second, 6*second, 100) },
			result.Mitigated},
		{"some all along", func(l *literal) {
			for at := second; at < 6*second; at += second {
				l.broken(at, at+100*time.Millisecond, 100).work(at+100*time.Millisecond, at+second, 100)
			}
		}, result.Mitigated},
		{"as many as in the incident", func(l *literal) { l.broken(second, 6*second, 100) }, result.NotPrevented},
		{"none, since nothing moves", func(*literal) {}, result.NotPrevented},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, sc, arm := prevented()
			sc.Incident.Faults = 10
			c.work(l)
			r := Judge(sc, arm, l.sampled())
			if r.Verdict != c.verdict || r.Outcome != result.Pass {
				t.Errorf("verdict %q (%s), outcome %s %v; want %q", r.Verdict, r.Because, r.Outcome, r.Reasons,
					c.verdict)
			}
			if r.Unsafe != (r.Safety != result.Safety{}) {
				t.Errorf("unsafe %v, with %+v", r.Unsafe, r.Safety)
			}
		})
	}
}

// Slow work is no standstill: nothing is proved before it could have been done.
func TestSlowWorkIsNoStandstill(t *testing.T) {
	sc := scenario.Defaults()
	e := Evidence{Scenario: &sc, History: &history.History{}}
	if was := prover(e).Longest(); was != second {
		t.Fatalf("%v, want the longest of the clients' timeouts", was)
	}
	sc.Trigger.HoldMS = 2500
	if prover(e).Longest() != 2500*time.Millisecond {
		t.Errorf("%v, want the time that the work takes after the trigger", prover(e).Longest())
	}
}

// The last fault is found wherever it is.
func TestLastFault(t *testing.T) {
	for _, at := range []time.Duration{3*second + 1, 4*second + 123456789, 6*second - 1} {
		l := newLiteral().work(0, 6*second, 100)
		l.h.Ops = append(l.h.Ops, history.Op{Outcome: history.OK, Granted: 0, Worked: at, Released: at, Ended: at,
			Class: history.Conflict})
		sc, _ := testScenario()
		e := Evidence{Scenario: sc, History: &l.h, Time: ReadTimeline(l.h.Marks, 6*second)}
		// A grant of the lock meanwhile is a violation, too, but not a later one.
		if found := lastViolation(e); found <= at || found > at+time.Microsecond {
			t.Errorf("%v, want just after %v", found, at)
		}
	}
	l := newLiteral().work(0, 6*second, 100)
	sc, _ := testScenario()
	e := Evidence{Scenario: sc, History: &l.h, Time: ReadTimeline(l.h.Marks, 6*second)}
	if found := lastViolation(e); found < 3*second || found > 3*second+time.Microsecond {
		t.Errorf("%v without any, want when the remedy was begun", found)
	}
}

// A machine too busy to run the workers is a reason why nothing was broken, and then it is
// worth another attempt.
func TestFaultsThatABusyMachinePrevents(t *testing.T) {
	for _, busy := range []bool{false, true} {
		h := newLiteral().work(0, second, 200).work(second, 6*second, 100).sampled()
		for i := range h.Samples {
			if s := &h.Samples[i]; busy && s.At > second && s.At <= 2*second {
				s.SchedDelay = 60 * time.Millisecond
			}
		}
		sc, arm := testScenario()
		sc.Incident.Faults = 10
		if r := Judge(sc, arm, h); r.Outcome != result.Inconclusive || r.Noisy != busy {
			t.Errorf("busy %v: outcome %s, noisy %v, %v", busy, r.Outcome, r.Noisy, r.Reasons)
		}
	}
}

// Leases run out while no worker gets to run, and that may be before the baseline. A lock
// without one stays.
func TestFaultsThatABusyMachineMakes(t *testing.T) {
	for _, c := range []struct {
		busy  bool
		ttlMS swarm.Millis
		want  result.Outcome
	}{{false, 200, result.Fail}, {true, 200, result.Inconclusive}, {true, 0, result.Fail}} {
		l := newLiteral().broken(0, 400*time.Millisecond, 50).work(400*time.Millisecond, 6*second, 200)
		l.h.Marks[1].At = 400 * time.Millisecond // the baseline's
		h := l.sampled()
		for i := range h.Samples {
			if s := &h.Samples[i]; c.busy && s.At <= 400*time.Millisecond {
				s.SchedDelay = 60 * time.Millisecond
			}
		}
		sc, arm := testScenario()
		unsafe := false
		arm.Remedy, arm.Prevention, arm.Expect.Unsafe = "", "longer-ttl", &unsafe
		sc.Swarm.Lock.TTLMS = c.ttlMS
		if r := Judge(sc, arm, h); r.Verdict != result.Prevented || r.Outcome != c.want ||
			r.Noisy != (c.want == result.Inconclusive) {
			t.Errorf("busy %v: %s, %s, noisy %v, %v", c, r.Verdict, r.Outcome, r.Noisy, r.Reasons)
		}
	}
}

// Where faults are what the incident consists of, goodput does not matter, and only
// what happens in the incident counts.
func TestReproducedByFaults(t *testing.T) {
	for _, c := range []struct {
		faults int64
		at     time.Duration // of the second grant
		want   bool
	}{
		{1, 2600 * time.Millisecond, true},
		{2, 2600 * time.Millisecond, false},
		{1, 1600 * time.Millisecond, false},
		{1, 3600 * time.Millisecond, false}, // after the incident; and before that, too long before its end
	} {
		sc, arm := testScenario()
		arm.Remedy = "none"
		sc.Incident.Faults = c.faults
		l := newLiteral().work(0, second, 200)
		for i, at := range []time.Duration{c.at - second/2, c.at} { // the second is granted while the first is at work
			l.h.Ops = append(l.h.Ops, history.Op{
				Worker: 2, Tenant: 1, Outcome: history.OK, Intended: at, Begun: at, Granted: at, Worked: at + second,
				Released: at + second, Ended: at + second, Fence: int64(i + 1),
			})
		}
		r := Judge(sc, arm, l.sampled())
		if r.Reproduced == nil || *r.Reproduced != c.want {
			t.Errorf("%+v: reproduced %v, %v", c, r.Reproduced, r.Reasons)
		}
		if !c.want && (r.Outcome != result.Inconclusive ||
			!strings.Contains(fmt.Sprint(r.Reasons), "the incident was not reproduced")) {
			t.Errorf("%+v: %s, %v", c, r.Outcome, r.Reasons)
		}
	}
}
