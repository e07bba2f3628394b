package progress

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
)

func event(kind result.EventKind, name, detail string) result.Event {
	return result.Event{Kind: kind, Scenario: "jam", Arm: "control", Repeat: 1, Name: name, Detail: detail}
}

func sampled(ms float64, decisions, connected int64) result.Event {
	e := event(result.Sampled, "", "")
	e.AtMS, e.Load = ms, &result.Load{Decisions: decisions, Connected: connected, MaxClients: 32}
	return e
}

func TestStory(t *testing.T) {
	cured := event(result.ArmFinished, "", "")
	cured.Result = &result.Arm{Outcome: result.Pass, Verdict: result.Cured, Expected: result.Cured, Unsafe: true,
		Because: "Goodput was back."}
	failed := event(result.ArmFinished, "", "")
	failed.Result = &result.Arm{Outcome: result.Fail, Verdict: result.NoEffect, Because: "0 grants.",
		Reasons: []string{"a", "b"}}
	for _, c := range []struct {
		name string
		e    result.Event
		want string
	}{
		{"samples are for the screen", sampled(1, 2, 3), ""},
		{"the end of an arm is told by its result", event(result.PhaseEvent, history.End, ""), ""},
		{"a phase", event(result.PhaseEvent, history.Incident, ""), "incident"},
		{"a remedy that is begun", event("remedy", history.Begun, "restart-server"), "remedy restart-server"},
		{"a remedy that could not be applied", event("remedy", history.Blocked, "no slot"), "remedy blocked: no slot"},
		{"a step", event(result.StepEvent, "CONFIG GET maxclients", "32"), "step: CONFIG GET maxclients: 32"},
		{"a verdict with harm", cured, "pass, cured, UNSAFE: Goodput was back."},
		{"what did not pass says why", failed, "FAIL, no-effect: a; b"},
		{"signals are for the screen", fires("deadlock", true), ""},
		{"a proof", event(result.DeadlockEvent, "deadlock", "2 workers"), "proved deadlock: 2 workers"},
		{"a server's answer cannot reach the terminal", event(result.StepEvent, "GET", "\x1b[2J\nx"),
			"step: GET: �[2J x"},
		{"nor fill it", event(result.NoteEvent, "", strings.Repeat("k", 9999)), "note: " + strings.Repeat("k", 233) +
			"…"},
	} {
		if got := story(c.e); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func fires(name string, firing bool) result.Event {
	e := event(result.SignalEvent, name, "")
	e.Firing = &firing
	return e
}

// runBegun is the beginning of a run of two arms, three times each, two side by side.
func runBegun() result.Event {
	return result.Event{Kind: result.RunStarted, Run: &result.Run{ID: "r1"}, Plan: &result.Plan{
		Total: 6, Repeat: 3, Parallel: 2,
		Arms: []result.PlannedArm{{Scenario: "jam", Arm: "control", AboutMS: 4000},
			{Scenario: "jam", Arm: "other", AboutMS: 6000}},
	}}
}

func finished(arm string, repeat int, elapsedMS float64, o result.Outcome) result.Event {
	e := event(result.ArmFinished, "", "")
	e.Arm, e.Repeat, e.ElapsedMS, e.Result = arm, repeat, elapsedMS, &result.Arm{Outcome: o, Reasons: []string{"why"}}
	return e
}

func TestTally(t *testing.T) {
	begun := func(arm string, repeat int, elapsedMS float64) result.Event {
		e := event(result.ArmStarted, "", "")
		e.Arm, e.Repeat, e.ElapsedMS = arm, repeat, elapsedMS
		return e
	}
	var c tally
	for _, step := range []struct {
		e    result.Event
		want string
	}{
		{event(result.NoteEvent, "", ""), ""},
		{runBegun(), "0 of 6 arms done"},
		{begun("control", 1, 0), "0 of 6 arms done"},
		{begun("other", 1, 0), "0 of 6 arms done"},
		// It took twice as long as planned; of 30 s there are 26 left, twice over, less the 8
		// that the other one runs already, two side by side.
		{finished("control", 1, 8000, result.Pass), "1 of 6 arms done, about 22s left"},
		{finished("other", 1, 12000, result.Fail), "2 of 6 arms done, 1 FAILED, about 20s left"},
		{begun("control", 2, 12000), "2 of 6 arms done, 1 FAILED, about 20s left"},
		{begun("control", 2, 20000), "2 of 6 arms done, 1 FAILED, about 20s left"}, // an attempt that is made again
		{finished("control", 2, 28000, result.Inconclusive),
			"3 of 6 arms done, 1 FAILED, 1 inconclusive, about 21s left"},
	} {
		c.Observe(step.e)
		if got := c.sum(step.e.ElapsedMS); got != step.want {
			t.Errorf("after %s of %s at %v ms: %q, want %q", step.e.Kind, label(step.e), step.e.ElapsedMS, got,
				step.want)
		}
	}
}

// jammed is a board in the middle of an incident.
func jammed(how look) *board {
	b := &board{look: how}
	b.update(0, runBegun())
	b.update(0, event(result.ArmStarted, "none", ""))
	other := event(result.ArmStarted, "none", "")
	other.Arm, other.Repeat = "other", 2
	b.update(0, other)
	b.update(time.Second, event(result.PhaseEvent, history.Warmup, ""))
	// 10 decisions each 100 ms, then none: only the last second counts.
	for i := range 42 {
		b.update(time.Second, sampled(float64(100*i), int64(10*min(i, 34)), 30))
	}
	incident := event(result.PhaseEvent, history.Incident, "")
	incident.AboutMS = 4000
	b.update(2*time.Second, incident)
	// Marked when it is over: the screen is past it.
	b.update(2*time.Second, event(result.PhaseEvent, history.Baseline, ""))
	for _, name := range []string{"client-saturation", "client-errors", "deadlock", "goodput-collapse",
		"rejected-connections"} {
		b.update(2*time.Second, fires(name, true))
	}
	b.update(2*time.Second, fires("client-errors", false))
	b.update(2*time.Second, finished("other", 1, 2000, result.Fail))
	return b
}

func TestBoard(t *testing.T) {
	for _, c := range []struct {
		name          string
		how           look
		width, height int
		want          string
	}{
		{"80 columns", look{unicode: true}, 80, 20, `
run r1  3s gone
██░░░░░░░░  1 of 6 arms done, 1 FAILED, about 9s left
FAILED: jam/other
jam/control  incident  ███░░░░░░░ 3.0s left
                  ▆██████▁    30/s  30/32 clients
  ● client-saturation ● deadlock ● goodput-collapse ● rejected-connections
  ○ client-errors
jam/other@2  starting             3.0s gone
                                 -`},
		{"120 columns, ASCII", look{}, 120, 20, `
run r1  3s gone
#####.........................  1 of 6 arms done, 1 FAILED, about 9s left
FAILED: jam/other
jam/control  incident  ####........... 3.0s left                  +######_    30/s  30/32 clients
  * client-saturation * deadlock * goodput-collapse * rejected-connections o client-errors
jam/other@2  starting                  3.0s gone                                 -`},
		{"40 columns", look{unicode: true}, 40, 20, `
run r1  3s gone
1 of 6 arms done, 1 FAILED, about 9s l…
FAILED: jam/other
jam/control  incident  █░░░░ 3.0s left
       ▆██████▁    30/s  30/32 clients
  ● client-saturation ● deadlock
  ● goodput-collapse +2
jam/other@2  starting        3.0s gone
                      -`},
		{"no room for everything", look{}, 80, 5, `
run r1  3s gone
##........  1 of 6 arms done, 1 FAILED, about 9s left
FAILED: jam/other
jam/control  incident 3.0s left  30/s  30/32 clients  4 signals
jam/other@2  starting 3.0s gone  -`},
		{"nor for the arms", look{}, 80, 4, `
run r1  3s gone
##........  1 of 6 arms done, 1 FAILED, about 9s left
FAILED: jam/other
... and 2 arms more`},
		{"nor for that", look{}, 80, 1, `
run r1  3s gone`},
	} {
		got := jammed(c.how).view(3*time.Second, c.width, c.height)
		if text := "\n" + strings.Join(got, "\n"); text != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, text, c.want)
		}
		for _, line := range got {
			if w := ansi.StringWidth(line); w >= c.width {
				t.Errorf("%s: %d columns: %q", c.name, w, line)
			}
		}
	}
	// In a run on several images each arm is there more than once.
	if on := (result.Event{Scenario: "jam", Arm: "other", Image: "redis:8",
		Repeat: 2}); label(on) != "jam/other@2 on redis:8" {
		t.Errorf("label %q", label(on))
	}
	b := jammed(look{})
	silent := sampled(4000, 340, 0)
	silent.Load.MaxClients = 0
	b.update(3*time.Second, silent)
	if got := b.view(3*time.Second, 120, 20)[3]; !strings.HasSuffix(got, "no answer") {
		t.Errorf("a server that does not answer: %q", got)
	}
}

// A server has never more clients in its slots than it has slots: those beyond were there
// before the limit was lowered.
func TestBoardExplainsClientsBeyondTheLimit(t *testing.T) {
	b := jammed(look{})
	over := sampled(4000, 340, 33)
	over.Load.MaxClients = 32
	b.update(3*time.Second, over)
	if got := b.view(3*time.Second, 160, 20)[3]; !strings.HasSuffix(got,
		"32/32 clients + 1 from before maxclients was lowered") {
		t.Errorf("%q", got)
	}
}

// A finding that nothing was compared with is no pass in silence.
func TestEndingSaysWhatWasNotChecked(t *testing.T) {
	r := &result.Arm{Outcome: result.Pass, Verdict: result.Relapsed, Because: "Work went on.", Checked: []string{}}
	if got := ending(r); got != "pass, relapsed, not checked: Work went on." {
		t.Errorf("%q", got)
	}
	r.Checked, r.Expected = []string{"verdict"}, result.Relapsed
	if got := ending(r); got != "pass, relapsed: Work went on." {
		t.Errorf("%q", got)
	}
}

// Nothing that comes from a server or a scenario reaches the terminal as it is.
func TestBoardIsPrintable(t *testing.T) {
	b := jammed(look{})
	for _, kind := range []result.EventKind{result.ArmStarted, result.NoteEvent, result.DeadlockEvent,
		result.PhaseEvent} {
		e := event(kind, "\x1b[2J", "\x1b[2J")
		e.Scenario, e.Image, e.Repeat = "\x1b[2J", "\x1b[2J", 1
		b.update(0, e)
	}
	b.update(0, fires("\x1b[2J", true))
	e := finished("\x1b[2J", 1, 0, result.Fail)
	e.Result.Reasons = []string{"\x1b[2J"}
	b.update(0, e)
	for _, line := range append(b.view(0, 80, 20), b.lines...) {
		if strings.Contains(line, "\x1b") {
			t.Errorf("%q", line)
		}
	}
}

func TestLineIsFolded(t *testing.T) {
	got := folded("   1.0s  jam/control: FAIL: a reason that goes on and on", 30)
	want := []string{"   1.0s  jam/control:", "         FAIL: a reason that", "         goes on and on"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestLocale(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{}, false},
		{map[string]string{"LANG": "de_DE.UTF-8"}, true},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.utf8"}, true},
	} {
		if got := isUTF8(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

// A run that is told in lines says how far it is, and what failed stands out.
func TestPlainSaysHowFarItIs(t *testing.T) {
	var log bytes.Buffer
	p := newPlain(&log, false)
	p.Observe(runBegun())
	p.Observe(finished("control", 1, 1000, result.Pass))
	p.Observe(finished("other", 1, 1000, result.Fail))
	p.sumNow()
	p.Close()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for i, want := range []string{": 6 arms, 2 side by side", "[1/6] jam/control: pass", "[2/6] jam/other: FAIL: why",
		"2 of 6 arms done, 1 FAILED, about 10s left"} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("no %q in line %d of\n%s", want, i+1, &log)
		}
	}
}

func TestStreamStopsAtTheFirstErrorOfItsReader(t *testing.T) {
	gone := errors.New("broken pipe")
	var failures []error
	s := New(true, false, failing{gone}, &bytes.Buffer{}, func(err error) { failures = append(failures, err) })
	s.Observe(sampled(1, 1, 1))
	s.Observe(sampled(2, 2, 2))
	if len(failures) != 1 || !errors.Is(failures[0], gone) {
		t.Errorf("failures: %v, want one: %v", failures, gone)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Arms that run side by side report at once. With -race this shows that every
// renderer locks; without, that no line is torn.
func TestRenderersTakeEventsAtOnce(t *testing.T) {
	var out, log, live bytes.Buffer
	screen := newScreen(&live, look{color: true}, tea.WithWindowSize(80, 24))
	renderers := []Progress{
		New(true, false, &out, &bytes.Buffer{}, nil),
		New(false, false, &bytes.Buffer{}, &log, nil),
		screen,
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 50 {
				e := event(result.NoteEvent, "", fmt.Sprint(k))
				e.Arm = fmt.Sprint(i)
				for _, r := range renderers {
					r.Observe(e)
					r.Observe(sampled(float64(k), int64(k), 1))
				}
			}
		})
	}
	wg.Wait()
	for _, r := range renderers {
		r.Close()
	}
	if n := strings.Count(log.String(), "\n"); n != 400 {
		t.Errorf("%d lines of 400 notes", n)
	}
	if n := strings.Count(live.String(), "note: "); n != 400 {
		t.Errorf("%d lines of 400 notes on the screen", n)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("not JSON: %q", line)
		}
	}
}

func TestLiveNeedsATerminal(t *testing.T) {
	if isLive(-1, func(string) string { return "" }) {
		t.Error("a file is taken for a terminal")
	}
}
