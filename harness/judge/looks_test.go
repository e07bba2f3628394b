package judge

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/stats"
)

// upTo is a literal history as a look at that moment sees it: without its end, and with the
// look as its last mark.
func upTo(h *history.History, at time.Duration, phase string) *history.History {
	seen := *h
	seen.Marks = slices.DeleteFunc(slices.Clone(h.Marks), func(m history.Mark) bool { return m.Name == history.End })
	seen.Marks = append(seen.Marks, history.Mark{At: at, Kind: history.LookMark, Name: phase, Until: 6 * second})
	return &seen
}

// TestDecided goes through what a look can find. The recovery is from 3 to 6 s, and a cure has
// to hold for 1.5 s.
func TestDecided(t *testing.T) {
	baseline := func() *literal { return newLiteral().work(0, second, 200) }
	for _, c := range []struct {
		name    string
		history *literal
		at      time.Duration
		decided bool
	}{
		{"back at once, and held for long enough", baseline().work(3*second, 6*second, 200), 5100 * time.Millisecond, true},
		{"back at once, and not held for long enough", baseline().work(3*second, 6*second, 200),
			4200 * time.Millisecond, false},
		{"back, and under the threshold", baseline().work(3*second, 6*second, 170), 5100 * time.Millisecond, false},
		{"back, and lost again", baseline().work(3*second, 4*second, 200), 5100 * time.Millisecond, true},
		// It may come back yet: nothing proves that it cannot.
		{"not back", baseline(), 5100 * time.Millisecond, false},
		{"a few grants, and still since", baseline().work(3*second, 3*second+40*time.Millisecond, 200),
			5100 * time.Millisecond, false},
		{"better, and no cure", baseline().work(3*second, 6*second, 100), 5100 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc, arm := testScenario()
			if got := Decided(sc, arm, upTo(c.history.sampled(), c.at, history.Recovery)); got != c.decided {
				t.Errorf("decided: %v, want %v", got, c.decided)
			}
		})
	}
}

// A remedy that could not be applied is decided at the first look.
func TestBlockedIsDecided(t *testing.T) {
	sc, arm := testScenario()
	l := newLiteral().work(0, second, 200)
	l.mark(3*second, history.RemedyMark, history.Blocked, "no slot")
	if !Decided(sc, arm, upTo(l.sampled(), 4200*time.Millisecond, history.Recovery)) {
		t.Error("not decided")
	}
}

// What is expected to break exclusion and has not may do so yet.
func TestExpectedViolationIsWaitedFor(t *testing.T) {
	sc, arm := testScenario()
	unsafe := true
	arm.Expect.Unsafe = &unsafe
	l := newLiteral().work(0, second, 200).work(3*second, 6*second, 200)
	h := upTo(l.sampled(), 5100*time.Millisecond, history.Recovery)
	if Decided(sc, arm, h) {
		t.Error("decided before the violation that is expected")
	}
}

// That a prevention prevents takes the scenario's whole time to show.
func TestPreventionTakesItsTime(t *testing.T) {
	sc, _ := testScenario()
	arm := scenario.Arm{Name: "p", Prevention: "something"}
	sc.Arms = []scenario.Arm{arm}
	l := &literal{}
	l.mark(0, history.PhaseMark, history.Baseline, "")
	l.mark(1*second, history.PhaseMark, history.Incident, "")
	l.mark(1*second, history.TriggerMark, "surge", "")
	l.work(0, 6*second, 200)
	if Decided(sc, arm, upTo(l.sampled(), 4500*time.Millisecond, history.Incident)) {
		t.Error("decided at 70% of its time")
	}
}

// The journal of an arm that ended at a look has more than the look saw. The judge goes by the
// mark: what came later changes nothing.
func TestJudgedFromTheMarks(t *testing.T) {
	sc, arm := testScenario()
	h := newLiteral().work(0, second, 200).work(3*second, 5100*time.Millisecond, 200).sampled()
	seen := upTo(h, 5100*time.Millisecond, history.Recovery)
	want := Judge(sc, arm, seen)
	if want.Verdict != result.Cured || want.Early == nil || want.Early.VerdictSavedMS != 900 {
		t.Fatalf("verdict %q, early %+v; want a cure 900 ms early", want.Verdict, want.Early)
	}
	whole := *seen
	end := history.Mark{At: 6 * second, Kind: history.PhaseMark, Name: history.End}
	whole.Marks = append(slices.Clone(seen.Marks), end)
	if got := Judge(sc, arm, &whole); !reflect.DeepEqual(got, want) {
		t.Errorf("with what came after the look: %+v\nwithout: %+v", got, want)
	}
}

// An interval is wider the earlier it decides, and at the end a little wider than without
// looks.
func TestLooksCostConfidence(t *testing.T) {
	look := func(at time.Duration) history.Mark { return history.Mark{At: at, Until: 6 * second} }
	sc, _ := testScenario()
	e := Evidence{Scenario: sc, Time: timeline{looks: []history.Mark{look(4200 * time.Millisecond)}}}
	if got := level(e, 3*second); got != stats.Level {
		t.Errorf("a look that could decide nothing costs: level %v", got)
	}
	e.Time.looks = append(e.Time.looks, look(5100*time.Millisecond))
	early := level(e, 3*second)
	e.Time.looks = append(e.Time.looks, look(5550*time.Millisecond), look(6*second))
	last := level(e, 3*second)
	if !(early < last && last < stats.Level) {
		t.Errorf("levels %v at the second look and %v at the last, want them to rise and stay under %v", early, last,
			stats.Level)
	}
}

// answered is a history whose incident was ended by a look since the control waits for its
// signals.
func answered(l *literal) *history.History {
	h := l.sampled()
	h.Marks = slices.Insert(h.Marks, 4, history.Mark{At: 3*second - 1, Kind: history.LookMark, Name: history.Incident,
		Detail: scenario.ControlArm, Until: 4 * second})
	return h
}

// A signal that stayed silent in a shortened incident has no answer here, and fails nothing.
func TestSilenceOfAShortenedIncident(t *testing.T) {
	sc, arm := testScenario()
	sc.Signals = map[string]scenario.Signal{"client-saturation": {Expect: scenario.Fire},
		"goodput-collapse": {Expect: scenario.Fire}}
	work := func() *literal { return newLiteral().work(0, second, 200).work(3*second, 6*second, 200) }
	if r := Judge(sc, arm, work().sampled()); r.Outcome != result.Fail {
		t.Fatalf("outcome %s; where the incident took its time, a signal that stays silent fails the arm", r.Outcome)
	}
	r := Judge(sc, arm, answered(work()))
	if r.Outcome != result.Pass {
		t.Errorf("outcome %s: %v", r.Outcome, r.Reasons)
	}
	for _, s := range r.Signals {
		switch {
		case s.Name == "client-saturation" && (s.AnsweredBy != scenario.ControlArm || s.Checked()):
			t.Errorf("%s: answered by %q, checked %v; want the control's answer, and nothing checked here", s.Name,
				s.AnsweredBy, s.Checked())
		case s.Name == "goodput-collapse" && (s.AnsweredBy != "" || !s.Fired):
			t.Errorf("%s: answered by %q, fired %v; what fired is seen here as well", s.Name, s.AnsweredBy, s.Fired)
		}
	}
}

// A false alarm is one, however short the incident was.
func TestFalseAlarmInAShortenedIncident(t *testing.T) {
	sc, arm := testScenario()
	sc.Signals = map[string]scenario.Signal{"goodput-collapse": {Expect: scenario.Silent}}
	r := Judge(sc, arm, answered(newLiteral().work(0, second, 200).work(3*second, 6*second, 200)))
	if r.Outcome != result.Fail {
		t.Errorf("outcome %s; want fail: %v", r.Outcome, r.Reasons)
	}
}

// Replay comes to the same verdict where nothing happens after the look, and says so where a
// cure is lost after it.
func TestReplay(t *testing.T) {
	sc, arm := testScenario()
	steady := newLiteral().work(0, second, 200).work(3*second, 6*second, 200).sampled()
	if r, ok := Replay(sc, arm, steady); !ok || r.Looks != 2 || !r.Agrees() {
		t.Errorf("%v %+v; want a cure at the second look that agrees", ok, r)
	}
	lost := newLiteral().work(0, second, 200).work(3*second, 5200*time.Millisecond, 200).sampled()
	if r, ok := Replay(sc, arm, lost); !ok || r.Early != result.Cured || r.Full != result.Relapsed || r.Agrees() {
		t.Errorf("%v %+v; want a cure that is lost after the look", ok, r)
	}
}
