package judge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/triggers"
)

const second = time.Second

// literal builds the history of an arm: a steady baseline until 1 s, an
// incident until 3 s, a recovery until 6 s, and whatever rate of decisions per
// second is given for each stretch.
type literal struct {
	h    history.History
	next int64
}

func newLiteral() *literal {
	l := &literal{}
	l.mark(0, history.PhaseMark, history.Warmup, "")
	l.mark(0, history.PhaseMark, history.Baseline, "")
	l.mark(1*second, history.PhaseMark, history.Incident, "")
	l.mark(1*second, history.TriggerMark, "surge", "")
	l.mark(3*second, history.PhaseMark, history.Recovery, "")
	l.mark(3*second, history.RemedyMark, history.Begun, "")
	l.mark(6*second, history.PhaseMark, history.End, "")
	return l
}

func (l *literal) mark(at time.Duration, kind history.MarkKind, name, detail string) {
	l.h.Marks = append(l.h.Marks, history.Mark{At: at, Kind: kind, Name: name, Detail: detail})
}

// work adds decisions at an even rate, one after the other on one tenant.
func (l *literal) work(from, to time.Duration, perSecond float64) *literal {
	gap := time.Duration(float64(second) / perSecond)
	for at := from; at+gap <= to; at += gap {
		l.next++
		l.h.Ops = append(l.h.Ops, history.Op{
			Worker: 1, Outcome: history.OK, Admitted: true, Intended: at, Begun: at, Granted: at + gap/4, Worked: at +
				gap/2,
			Released: at + gap*3/4, Ended: at + gap - 1, Fence: l.next, Window: 0, Count: l.next,
		})
	}
	return l
}

// sampled adds a sample every 100 ms that agrees with the operations.
func (l *literal) sampled() *history.History {
	for at := time.Duration(0); at <= 6*second; at += 100 * time.Millisecond {
		s := history.Sample{At: at, Server: &history.Server{RunID: "a", Connected: 10, MaxClients: 32}}
		for _, op := range l.h.Ops {
			if op.Ended <= at {
				s.Swarm.Decisions++
			}
			if op.Granted != history.Never && op.Granted <= at {
				s.Swarm.Grants++
			}
		}
		s.Swarm.Workers, s.Swarm.Waiting, s.Swarm.Oldest = 12, 12, 10*time.Millisecond
		l.h.Samples = append(l.h.Samples, s)
	}
	return &l.h
}

func testScenario() (*scenario.Scenario, scenario.Arm) {
	sc := scenario.Defaults()
	sc.Name = "literal"
	sc.Trigger.Kind = "surge"
	arm := scenario.Arm{Name: "a", Remedy: "restart-server"}
	sc.Arms = []scenario.Arm{arm}
	return &sc, arm
}

func TestVerdicts(t *testing.T) {
	baseline := func() *literal { return newLiteral().work(0, second, 200) }
	for _, c := range []struct {
		name    string
		history *history.History
		verdict result.Verdict
		outcome result.Outcome
	}{
		{"back at once and for good", baseline().work(3*second, 6*second, 200).sampled(), result.Cured, result.Pass},
		{"back after a second and for good", baseline().work(4*second, 6*second, 210).sampled(), result.Cured,
			result.Pass},
		// A tenth is the threshold; two tenths below it are better than nothing, and no cure.
		{"back at eighty percent", baseline().work(3*second, 6*second, 160).sampled(), result.Partial, result.Pass},
		{"never back", baseline().sampled(), result.NoEffect, result.Pass},
		{"back for a second, then gone", baseline().work(3*second, 4*second, 200).sampled(), result.Relapsed,
			result.Pass},
		// The grants of a few freed locks are work, but no goodput to speak of.
		{"a handful of grants, then still", baseline().work(3*second, 3*second+40*time.Millisecond, 200).sampled(),
			result.Relapsed, result.Pass},
		// What comes back in the last moment may last or not: it was not seen.
		{"back too late to tell", baseline().work(5*second, 6*second, 200).sampled(), "", result.Inconclusive},
		{"no incident at all", baseline().work(second, 6*second, 200).sampled(), "", result.Inconclusive},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc, arm := testScenario()
			r := Judge(sc, arm, c.history)
			if r.Verdict != c.verdict || r.Outcome != c.outcome {
				t.Errorf("verdict %q (%s), outcome %s %v; want %q, %s", r.Verdict, r.Because, r.Outcome, r.Reasons,
					c.verdict, c.outcome)
			}
		})
	}
}

func TestStraddlingIntervalIsInconclusive(t *testing.T) {
	l := newLiteral().work(0, second, 200)
	// 92% on average, and uneven: the interval reaches under 90%.
	for i := range 30 {
		from := 3*second + time.Duration(i)*100*time.Millisecond
		l.work(from, from+100*time.Millisecond, map[bool]float64{true: 240, false: 130}[i%2 == 0])
	}
	sc, arm := testScenario()
	r := Judge(sc, arm, l.sampled())
	if r.Outcome != result.Inconclusive || !r.Straddles {
		t.Errorf("outcome %s, straddles %v, verdict %q %+v; want inconclusive", r.Outcome, r.Straddles, r.Verdict,
			r.Recovery)
	}
}

// Connections have settled once they stay near where they end.
func TestSettledConnections(t *testing.T) {
	sc, arm := testScenario()
	for _, c := range []struct {
		name    string
		clients func(after time.Duration) int64
		settled float64 // ms; -1: never
	}{
		{"steady from the start", func(time.Duration) int64 { return 60 }, 0},
		{"back after a second", func(after time.Duration) int64 {
			return map[bool]int64{true: 3,
				false: 60}[after < second]
		}, 1000},
		{"up and down", func(after time.Duration) int64 { return 60 + 40*int64(after/(100*time.Millisecond)%2) }, -1},
	} {
		h := newLiteral().work(0, second, 200).work(4*second, 6*second, 200).sampled()
		for i := range h.Samples {
			if after := h.Samples[i].At - 3*second; after >= 0 {
				h.Samples[i].Server.Connected = c.clients(after)
			}
		}
		got := Judge(sc, arm, h).Connections
		switch {
		case got == nil:
			t.Errorf("%s: nothing found", c.name)
		case c.settled < 0 && got.SettledAfterMS != nil, c.settled >= 0 &&
			(got.SettledAfterMS == nil || *got.SettledAfterMS != c.settled):
			t.Errorf("%s: %+v, want %v", c.name, got.SettledAfterMS, c.settled)
		}
	}
}

func TestBlockedAndForeignRemedies(t *testing.T) {
	sc, arm := testScenario()
	l := newLiteral().work(0, second, 200)
	l.mark(5*second, history.RemedyMark, history.Blocked, "no connection in 20 tries")
	if r := Judge(sc, arm, l.sampled()); r.Verdict != result.Blocked || !strings.Contains(r.Because, "20 tries") {
		t.Errorf("verdict %q because %q; want blocked, with the reason", r.Verdict, r.Because)
	}
	l = newLiteral().work(0, second, 200)
	l.mark(3*second, history.RemedyMark, history.NotOurs, "somebody else's")
	if r := Judge(sc, arm, l.sampled()); r.Verdict != "" || r.Outcome != result.Inconclusive {
		t.Errorf("verdict %q, outcome %s; a remedy that was not tried has no verdict", r.Verdict, r.Outcome)
	}
}

func TestExpectations(t *testing.T) {
	sc, arm := testScenario()
	arm.Expect.Verdict = string(result.NoEffect)
	cured := newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled()
	if r := Judge(sc, arm, cured); r.Outcome != result.Fail {
		t.Errorf("outcome %s; a cure where none was expected is a failed expectation", r.Outcome)
	}
	sc.Signals = map[string]scenario.Signal{
		"goodput-collapse":     {Expect: scenario.Fire, WithinMS: 1500},
		"client-saturation":    {Expect: scenario.Silent},
		"rejected-connections": {Expect: scenario.Fire},
	}
	arm.Expect.Verdict = string(result.Cured)
	r := Judge(sc, arm, cured)
	want := "signal rejected-connections was to fire and stayed silent"
	if r.Outcome != result.Fail || fmt.Sprint(r.Reasons) != "["+want+"]" {
		t.Errorf("outcome %s, reasons %v; want just %q", r.Outcome, r.Reasons, want)
	}
}

// A run that was killed leaves a prefix. It says what it can and concludes nothing.
func TestTruncatedHistoryIsInconclusive(t *testing.T) {
	h := newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled()
	h.Truncated = true
	sc, arm := testScenario()
	if r := Judge(sc, arm, h); r.Outcome != result.Inconclusive || r.Verdict != "" {
		t.Errorf("outcome %s, verdict %q", r.Outcome, r.Verdict)
	}
	if r := Judge(sc, arm, &history.History{}); r.Outcome != result.Inconclusive {
		t.Errorf("an empty history is %s", r.Outcome)
	}
}

// Without a control arm that stays down, it is not known whether the remedy did it.
func TestNoCreditWhereTheControlRecovers(t *testing.T) {
	run := result.Run{Status: result.Completed, Scenarios: []result.Scenario{{Arms: []result.Arm{
		{Name: "control", Remedy: "none", Repeat: 1, Outcome: result.Pass, Verdict: result.Cured},
		{Name: "r", Remedy: "restart-server", Repeat: 1, Outcome: result.Pass, Verdict: result.Cured},
		{Name: "r", Remedy: "restart-server", Repeat: 2, Outcome: result.Pass, Verdict: result.Cured},
	}}}}
	Conclude(&run)
	arms := run.Scenarios[0].Arms
	if arms[1].Outcome != result.Inconclusive || arms[2].Outcome != result.Pass || run.Outcome != result.Inconclusive {
		t.Errorf("outcomes %s, %s and run %s; want inconclusive only beside the control that recovered",
			arms[1].Outcome, arms[2].Outcome, run.Outcome)
	}
}

func TestRatioInterval(t *testing.T) {
	even := []float64{20, 20, 20, 20, 20, 20}
	if r := stats.Ratio(even, even, stats.Bin, stats.Level); r.Mid != 1 || r.Low != 1 || r.High != 1 {
		t.Errorf("equal bins without noise: %+v", r)
	}
	noisy := []float64{15, 25, 14, 26, 20, 20}
	r := stats.Ratio(noisy, even, stats.Bin, stats.Level)
	if r.Mid != 1 || r.Low >= 1 || r.High <= 1 || r.Low < 0.6 {
		t.Errorf("noise must widen the interval around 1: %+v", r)
	}
	if r := stats.Ratio([]float64{0, 0, 0}, even, stats.Bin, stats.Level); r.Mid != 0 || r.High != 0 {
		t.Errorf("nothing after: %+v", r)
	}
}

// A machine that does not let lockjam run takes goodput away. That is no
// relapse; but it cannot make goodput, and a standstill is one on any machine.
func TestBusyMachineExplainsALossAndNothingElse(t *testing.T) {
	busy := func(h *history.History, from, to time.Duration) *history.History {
		for i := range h.Samples {
			if s := &h.Samples[i]; s.At > from && s.At <= to {
				s.SchedDelay = 60 * time.Millisecond
			}
		}
		return h
	}
	gap := func() *literal {
		return newLiteral().work(0, second, 200).work(3*second, 4*second, 200).work(5*second, 6*second, 200)
	}
	sc, arm := testScenario()
	if r := Judge(sc, arm, gap().sampled()); r.Verdict != result.Relapsed {
		t.Errorf("a second without goodput on an idle machine is %q, want relapsed", r.Verdict)
	}
	if r := Judge(sc, arm, busy(gap().sampled(), 4*second, 5*second)); r.Verdict != "" ||
		r.Outcome != result.Inconclusive || !r.Noisy {
		t.Errorf("the same on a busy machine is %q, %s; want inconclusive", r.Verdict, r.Outcome)
	}
	still := newLiteral().work(0, second, 200)
	if r := Judge(sc, arm, busy(still.sampled(), 3*second, 6*second)); r.Verdict != result.NoEffect ||
		r.Outcome != result.Pass {
		t.Errorf("a standstill on a busy machine is %q, %s; want no-effect", r.Verdict, r.Outcome)
	}
	on := newLiteral().work(0, second, 200).work(3*second, 6*second, 200)
	if r := Judge(sc, arm, busy(on.sampled(), 3*second, 6*second)); r.Verdict != result.Cured ||
		r.Outcome != result.Pass {
		t.Errorf("a cure on a busy machine is %q, %s; want cured", r.Verdict, r.Outcome)
	}
}

func TestSteady(t *testing.T) {
	for name, c := range map[string]struct {
		bins []float64
		want bool
	}{
		"even":             {[]float64{20, 21, 19, 20, 20, 21, 19, 20, 20, 20}, true},
		"too few":          {[]float64{20, 20, 20}, false},
		"nothing":          {make([]float64, 10), false},
		"still climbing":   {[]float64{10, 12, 14, 16, 18, 20, 22, 24, 26, 28}, false},
		"all over":         {[]float64{5, 40, 3, 35, 20, 2, 38, 9, 31, 17}, false},
		"a step half way":  {[]float64{15, 15, 15, 15, 15, 20, 20, 20, 20, 20}, false},
		"one bin of ten 0": {[]float64{20, 20, 20, 0, 20, 20, 20, 20, 20, 20}, false},
	} {
		if got := stats.Steady(c.bins, stats.Bin); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Twenty locks that are released every 210 ms, all of them in the same half of that time:
// bins are full or empty in turn, and nothing is as steady as what they add up to.
func TestWorkLongerThanABinIsNoNoise(t *testing.T) {
	inStep := func(n int) []float64 {
		bins := make([]float64, n)
		for lock := range 20 {
			for at := time.Duration(lock) * 5 * time.Millisecond; at < time.Duration(n)*stats.Bin; at += 210 * time.Millisecond {
				bins[at/stats.Bin]++
			}
		}
		return bins
	}
	work := 200 * time.Millisecond
	if stats.Steady(inStep(15), stats.Bin) || !stats.Steady(inStep(15), work) {
		t.Errorf("locks in step: steady by bins %v, by batches of a piece of work %v; want false, true",
			stats.Steady(inStep(15), stats.Bin), stats.Steady(inStep(15), work))
	}
	byBins := stats.Ratio(inStep(25), inStep(15), stats.Bin, stats.Level)
	byWork := stats.Ratio(inStep(25), inStep(15), work, stats.Level)
	if byWork.Low < 0.8 || byWork.High > 1.25 || byBins.Low > 0.7 || byBins.Mid != byWork.Mid {
		t.Errorf("the same work before and after: %+v by batches, %+v by bins", byWork, byBins)
	}
	half := inStep(15)
	for i := range half[:7] {
		half[i] /= 2
	}
	if stats.Steady(half, work) {
		t.Error("a baseline that doubles half way is steady by batches")
	}
}

// Batches are as long as the work takes, if there are enough of them to tell a variance by.
func TestBatches(t *testing.T) {
	for _, c := range []struct {
		bins, work, batches int
	}{
		{15, 0, 15}, {15, 1, 15}, {15, 2, 7}, {15, 3, 5}, {15, 4, 15}, {25, 4, 6}, {3, 4, 3},
	} {
		if got := stats.Batch(make([]float64, c.bins), time.Duration(c.work)*stats.Bin); len(got) != c.batches {
			t.Errorf("%d bins, work of %d: %d batches, want %d", c.bins, c.work, len(got), c.batches)
		}
	}
	if got := stats.Batch([]float64{9, 1, 3, 5, 7, 1, 3, 5, 7, 2, 4}, 2*stats.Bin); !slices.Equal(got,
		[]float64{2, 6, 2, 6, 3}) {
		t.Errorf("batches of two are %v", got)
	}
}

// A lock that does not exclude is no baseline for anything, and no pass.
func TestBrokenExclusionWithoutATriggerFails(t *testing.T) {
	sc, arm := testScenario()
	sc.Trigger.Kind = triggers.None
	h := newLiteral().work(0, 6*second, 200).sampled()
	if r := Judge(sc, arm, h); r.Outcome != result.Pass {
		t.Fatalf("sound: %s %v", r.Outcome, r.Reasons)
	}
	h.Ops[5].Worked = h.Ops[7].Ended
	if r := Judge(sc, arm, h); r.Outcome != result.Fail || r.Safety.Overlaps == 0 {
		t.Errorf("overlapping holds: %s, %+v", r.Outcome, r.Safety)
	}
}
