package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
)

func TestProbesInSentences(t *testing.T) {
	for _, c := range []struct {
		probe history.Probe
		want  string
	}{
		{history.Probe{Name: history.RunbookMonitor, Output: "ERR max number of clients reached\n", Lines: 1},
			`It could not connect, and grep printed nothing: redis-cli said "ERR max number of clients reached".`},
		{history.Probe{Name: history.RunbookMonitor, Connected: true, Lines: 900, Matches: 0},
			"It connected; of 900 lines that MONITOR printed grep let 0 through."},
		{history.Probe{Name: history.RunbookMonitor, Error: "no redis-cli to run"},
			"It could not be done: no redis-cli to run."},
		{history.Probe{Name: history.OneMoreSlot, Connected: true}, "With one more slot nothing moved."},
		{history.Probe{Name: history.OneMoreSlot, Connected: true, Grants: 1, Releases: 2},
			"With one more slot work went on: 1 grant and 2 releases."},
	} {
		l := newLiteral().work(0, second, 200)
		h := l.sampled()
		h.Probes = []history.Probe{c.probe}
		sc, arm := testScenario()
		if r := Judge(sc, arm, h); len(r.Probes) != 1 || r.Probes[0].Because != c.want {
			t.Errorf("%+v\nwant %s", r.Probes, c.want)
		}
	}
}

// The probes may move what stood still, and what moves then is no recovery.
func TestProbesCountForNothing(t *testing.T) {
	plain := newLiteral().work(0, second, 200)
	sc, arm := testScenario()
	want := Judge(sc, arm, plain.sampled())

	l := newLiteral().work(0, second, 200)
	// A request that waits all along and is served while the probe lasts.
	l.h.Ops = append(l.h.Ops, history.Op{Worker: 2, Outcome: history.OK, Intended: 2 * second, Begun: 2 * second,
		Granted: 6100 * time.Millisecond,
		Worked:  6200 * time.Millisecond, Released: 6300 * time.Millisecond, Ended: 6400 * time.Millisecond, Fence: 999,
		Count: 999})
	l.mark(6*second, history.PhaseMark, history.Probing, "")
	l.h.Marks[len(l.h.Marks)-2].At = 8 * second // the end
	l.work(6*second, 8*second, 200)
	got := Judge(sc, arm, l.sampled())
	if got.Verdict != result.NoEffect || got.Verdict != want.Verdict || got.Safety != want.Safety {
		t.Errorf("%s %+v, want %s %+v", got.Verdict, got.Safety, want.Verdict, want.Safety)
	}
	last := got.Phases[len(got.Phases)-1]
	if last.Name != history.Recovery || last.EndMS != 6000 || last.Operations != (result.Operations{Unknown: 1}) {
		t.Errorf("%+v", last)
	}
}

// What the server does not let anybody read is said, with the reason, and the arm is
// judged without it.
func TestUnavailableSignal(t *testing.T) {
	h := newLiteral().work(0, second, 200).sampled()
	for i := range h.Samples {
		h.Samples[i].Server.Missing = map[string]string{"rejected_connections": "INFO does not say it"}
	}
	sc, arm := testScenario()
	sc.Signals = map[string]scenario.Signal{"rejected-connections": {Expect: scenario.Fire}}
	r := Judge(sc, arm, h)
	for _, s := range r.Signals {
		if s.Name == "rejected-connections" &&
			(s.Met || s.Fired || !strings.Contains(s.Unavailable, "INFO does not say it")) {
			t.Errorf("%+v", s)
		}
	}
	if r.Outcome != result.Pass {
		t.Errorf("%s: %v", r.Outcome, r.Reasons)
	}
}
