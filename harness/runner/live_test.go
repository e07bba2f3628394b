package runner

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/text"
)

// recorded is an arm of the golden run.
func recorded(t testing.TB, name, arm string) (*scenario.Scenario, scenario.Arm, *history.History) {
	t.Helper()
	folder := filepath.Join(golden, name, arm)
	h, err := history.Load(filepath.Join(folder, rundir.HistoryFile))
	if err != nil {
		t.Fatal(err)
	}
	sc, err := scenario.Load(filepath.Join(folder, rundir.ScenarioFile))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(sc.Arms, func(a scenario.Arm) bool { return a.Name == arm })
	return sc, sc.Arms[i], h
}

// replay lets an arm take place again for onlookers: they look every 200 ms, and once
// more at the end.
func replay(sc *scenario.Scenario, arm scenario.Arm, h *history.History, observe func(result.Event)) *live {
	l := newLive(sc.For(arm), arm, observe)
	var samples, census, marks int
	end := judge.LastMoment(h) + lookEvery
	for at := lookEvery; at <= end; at += lookEvery {
		// The baseline is marked when it is over, so marks come in the order of the file.
		for ; marks < len(h.Marks) && h.Marks[marks].At <= at; marks++ {
			l.mark(h.Marks[marks].At, h.Marks[marks].Kind, h.Marks[marks].Name)
		}
		for ; samples < len(h.Samples) && h.Samples[samples].At <= at; samples++ {
			l.sample(h.Samples[samples])
		}
		for ; census < len(h.Census) && h.Census[census].At <= at; census++ {
			l.count(h.Census[census])
		}
		l.look()
	}
	return l
}

// What onlookers are told while an arm runs is what the judge finds in its record.
func TestLiveAgreesWithTheJudge(t *testing.T) {
	for _, of := range [][2]string{
		{"slot-lock-deadlock", "control"}, {"connection-leak", "raise-maxclients-live"},
		{"orphaned-lock", "release-orphaned-locks"},
		{"pool-self-deadlock", "control"}, {"lock-order-inversion", "let-go"}, {"near-limit", "control"},
	} {
		t.Run(of[0]+"/"+of[1], func(t *testing.T) {
			sc, arm, h := recorded(t, of[0], of[1])
			var told []result.Event
			replay(sc, arm, h, func(e result.Event) { told = append(told, e) })
			r := judge.Judge(sc, arm, h)
			trigger := text.Millis(max(judge.ReadTimeline(h.Marks, 0).Trigger, 0))
			for _, s := range r.Signals {
				if s.Name == "request-latency" || s.Unavailable != "" {
					continue // it reads operations; nothing can be said
				}
				checkTold(t, s, trigger, told)
			}
			proofs := slices.DeleteFunc(slices.Clone(told),
				func(e result.Event) bool { return e.Kind != result.DeadlockEvent })
			switch d := r.Deadlock; {
			case d == nil || !d.Proved:
				if len(proofs) > 0 {
					t.Errorf("told of a proof that the judge does not have: %+v", proofs)
				}
			case len(proofs) != 1 || proofs[0].Name != d.Kind || text.Round(proofs[0].AtMS-trigger-d.AfterMS, 0) != 0:
				t.Errorf("the judge has a proof of %s after %v ms; told %+v", d.Kind, d.AfterMS, proofs)
			}
		})
	}
}

func checkTold(t *testing.T, s result.Signal, trigger float64, told []result.Event) {
	t.Helper()
	fired, on, at := false, false, 0.0
	for _, e := range told {
		if e.Kind != result.SignalEvent || e.Name != s.Name {
			continue
		}
		if *e.Firing == on {
			t.Errorf("%s: told twice that firing is %v, at %v ms", s.Name, on, e.AtMS)
		}
		if on = *e.Firing; on && !fired && e.AtMS >= trigger {
			fired, at = true, e.AtMS
		}
	}
	// One that fired before the trigger already is found there after 0 ms.
	if s.Fired && *s.DetectMS > 0 && (!fired || text.Round(at-trigger-*s.DetectMS, 0) != 0) {
		t.Errorf("%s: the judge says it fired %v ms after the trigger; told %v, after %v ms", s.Name, *s.DetectMS,
			fired, at-trigger)
	}
	if on == s.Cleared {
		t.Errorf("%s: the judge says cleared: %v; the last that was told is firing: %v", s.Name, s.Cleared, on)
	}
}

// However long an arm runs, a look is at as much as before.
func TestLiveForgets(t *testing.T) {
	sc, arm, h := recorded(t, "slot-lock-deadlock", "control")
	l := replay(sc, arm, h, func(result.Event) {})
	before := len(l.samples)
	l.over = history.Never
	goOn := l.again(h)
	for range 500 {
		goOn()
		l.look()
	}
	if most := before + int(l.back/sampler.Every) + 10; len(l.samples) > most || len(l.census) > most ||
		len(l.findings) > most {
		t.Errorf("%d samples, %d censuses and %d findings are kept of 100 seconds", len(l.samples), len(l.census),
			len(l.findings))
	}
}

// What one look costs in processor time, with a minute behind it. There are five a
// second and arm. While work goes on nothing is proved; in a standstill the processor has
// nothing else to do.
//
//	go test -run '^$' -bench Look -benchtime 2000x ./harness/runner
func BenchmarkLook(b *testing.B) {
	for _, name := range []string{"healthy", "slot-lock-deadlock"} {
		b.Run(name, func(b *testing.B) {
			sc, arm, h := recorded(b, name, scenario.ControlArm)
			l := replay(sc, arm, h, func(result.Event) {})
			l.over = history.Never
			goOn := l.again(h)
			for range 300 {
				goOn()
				l.look()
			}
			self, err := process.NewProcess(int32(os.Getpid()))
			if err != nil {
				b.Fatal(err)
			}
			used := func() float64 {
				times, err := self.Times()
				if err != nil {
					b.Fatal(err)
				}
				return times.User + times.System
			}
			before := used()
			for b.Loop() {
				goOn()
				l.look()
			}
			b.ReportMetric(1e6*(used()-before)/float64(b.N), "cpu-µs/look")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// again returns what lets two more samples and censuses come, like the last ones.
func (l *live) again(h *history.History) func() {
	n, m := len(h.Samples), len(h.Census)
	at, count, before := h.Samples[n-1], h.Census[m-1], h.Census[m-2]
	grants, releases := count.After.Grants-before.After.Grants, count.After.Releases-before.After.Releases
	return func() {
		for range 2 {
			at.At += sampler.Every
			l.sample(at)
			count.At = at.At
			for _, p := range []*history.Progress{&count.Before, &count.After} {
				p.Grants, p.Releases = p.Grants+grants, p.Releases+releases
			}
			l.count(count)
		}
	}
}
