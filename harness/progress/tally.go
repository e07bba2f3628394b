package progress

import (
	"fmt"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// tally counts the arms of a run: what is over, what failed, and about how long the
// rest takes. It is fed with events and asks no clock.
type tally struct {
	plan         *result.Plan // nil before the run has started
	done         int
	failed       []string // labels of arms, in the order of their ends
	inconclusive int
	running      map[string]started // by label
	took, about  float64            // ms of the arms that are over: measured, and planned
	left         float64            // ms planned of the arms that are not over
}

// started is when an arm was, in ms since the run's start.
type started struct{ first, last float64 }

func (t *tally) Observe(e result.Event) {
	switch e.Kind {
	case result.RunStarted:
		if e.Plan == nil {
			return
		}
		t.plan, t.running = e.Plan, map[string]started{}
		for _, a := range e.Plan.Arms {
			t.left += a.AboutMS * float64(e.Plan.Repeat)
		}
	case result.ArmStarted:
		if t.plan == nil {
			return
		}
		at, again := t.running[label(e)]
		if !again {
			at.first = e.ElapsedMS
		}
		at.last = e.ElapsedMS
		t.running[label(e)] = at
	case result.ArmFinished:
		t.finish(e)
	}
}

func (t *tally) finish(e result.Event) {
	t.done++
	switch e.Result.Outcome {
	case result.Fail:
		t.failed = append(t.failed, label(e))
	case result.Inconclusive:
		t.inconclusive++
	}
	if t.plan == nil {
		return
	}
	about := t.aboutOf(e)
	t.left -= about
	t.about += about
	t.took += e.ElapsedMS - t.running[label(e)].first
	delete(t.running, label(e))
}

// aboutOf is how long the plan says that an arm takes at least, in ms.
func (t *tally) aboutOf(e result.Event) float64 {
	i := slices.IndexFunc(t.plan.Arms, func(a result.PlannedArm) bool {
		return a.Scenario == e.Scenario && a.Arm == e.Arm && a.Image == e.Image
	})
	if i < 0 {
		return 0
	}
	return t.plan.Arms[i].AboutMS
}

// remaining is about how long the rest takes, from a moment on, in ms since the run's
// start: by the plan, and by how much longer than planned arms have taken so far. It is
// not known before the first arm is over.
func (t *tally) remaining(elapsedMS float64) (left time.Duration, known bool) {
	if t.plan == nil || t.done == 0 || t.about <= 0 {
		return 0, false
	}
	slower := max(t.took/t.about, 1)
	ms := t.left * slower
	for _, at := range t.running {
		ms -= max(elapsedMS-at.last, 0)
	}
	side := min(t.plan.Parallel, max(t.plan.Total-t.done, 1))
	return time.Duration(max(ms/float64(side), 0) * float64(time.Millisecond)), true
}

// sum says how far a run is: "12 of 121 arms done, 1 failed, about 2m10s left".
func (t *tally) sum(elapsedMS float64) string {
	if t.plan == nil {
		return ""
	}
	line := fmt.Sprintf("%d of %s done", t.done, text.Plural(t.plan.Total, "arm"))
	if n := len(t.failed); n > 0 {
		line += fmt.Sprintf(", %d FAILED", n)
	}
	if t.inconclusive > 0 {
		line += fmt.Sprintf(", %d inconclusive", t.inconclusive)
	}
	if left, known := t.remaining(elapsedMS); known && t.done < t.plan.Total {
		line += ", about " + span(left) + " left"
	}
	return line
}

// titled is what happened to an arm, with its name, and at its end with how many are over.
func (t *tally) titled(e result.Event, line string) string {
	if name := label(e); name != "" {
		line = text.Printable(name) + ": " + line
	}
	if e.Kind == result.ArmFinished && t.plan != nil {
		line = fmt.Sprintf("[%d/%d] %s", t.done, t.plan.Total, line)
	}
	return line
}

// span is a length of time as a person says it, to the second.
func span(d time.Duration) string { return max(d, time.Second).Round(time.Second).String() }
