package main

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

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/history"
)

func event(kind harness.EventKind, name, detail string) harness.Event {
	return harness.Event{Kind: kind, Scenario: "jam", Arm: "control", Repeat: 1, Name: name, Detail: detail}
}

func sampled(ms float64, decisions, connected int64) harness.Event {
	e := event(harness.Sampled, "", "")
	e.AtMS, e.Load = ms, &harness.Load{Decisions: decisions, Connected: connected, MaxClients: 32}
	return e
}

func TestStory(t *testing.T) {
	cured := event(harness.ArmFinished, "", "")
	cured.Result = &harness.ArmResult{Outcome: harness.Pass, Verdict: harness.Cured, Unsafe: true, Because: "Goodput was back."}
	failed := event(harness.ArmFinished, "", "")
	failed.Result = &harness.ArmResult{Outcome: harness.Fail, Verdict: harness.NoEffect, Because: "0 grants.", Reasons: []string{"a", "b"}}
	for _, c := range []struct {
		name string
		e    harness.Event
		want string
	}{
		{"samples are for the screen", sampled(1, 2, 3), ""},
		{"the end of an arm is told by its result", event(harness.PhaseEvent, history.End, ""), ""},
		{"a phase", event(harness.PhaseEvent, history.Incident, ""), "incident"},
		{"a remedy that is begun", event("remedy", history.Begun, "restart-server"), "remedy restart-server"},
		{"a remedy that could not be applied", event("remedy", history.Blocked, "no slot"), "remedy blocked: no slot"},
		{"a step", event(harness.StepEvent, "CONFIG GET maxclients", "32"), "step: CONFIG GET maxclients: 32"},
		{"a verdict with harm", cured, "pass, cured, UNSAFE: Goodput was back."},
		{"what did not pass says why", failed, "fail, no-effect: a; b"},
		{"a server's answer cannot reach the terminal", event(harness.StepEvent, "GET", "\x1b[2J\nx"), "step: GET: �[2J x"},
		{"nor fill it", event(harness.NoteEvent, "", strings.Repeat("k", 9999)), "note: " + strings.Repeat("k", 233) + "…"},
	} {
		if got := story(c.e); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestFrame(t *testing.T) {
	s := &screen{size: func() (int, int, error) { return 60, 24, nil }}
	s.update(0, event(harness.ArmStarted, "none", ""))
	other := event(harness.ArmStarted, "none", "")
	other.Arm, other.Repeat = "other", 2
	s.update(0, other)
	s.update(time.Second, event(harness.PhaseEvent, history.Warmup, ""))
	// 10 decisions each 100 ms, then none: only the last second counts.
	for i := range 20 {
		s.update(time.Second, sampled(float64(100*i), int64(10*min(i, 14)), 30))
	}
	// Marked when it is over: the screen is past it.
	s.update(2*time.Second, event(harness.PhaseEvent, history.Baseline, ""))
	want := []string{
		"jam/control  baseline    2.0s     50/s  30/32 clients",
		"jam/other@2  starting    3.0s        -",
	}
	// In a run on several images each arm is there more than once.
	if on := (harness.Event{Scenario: "jam", Arm: "other", Image: "redis:8", Repeat: 2}); label(on) != "jam/other@2 on redis:8" {
		t.Errorf("label %q", label(on))
	}
	if got := s.frame(3 * time.Second); !equalTrimmed(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s.update(3*time.Second, event(harness.PhaseEvent, history.Incident, ""))
	silent := sampled(2000, 140, 0)
	silent.Load.MaxClients = 0
	s.update(3*time.Second, silent)
	if got := s.frame(3 * time.Second)[0]; !strings.Contains(got, "incident    0.0s") || !strings.HasSuffix(got, "no answer") {
		t.Errorf("a server that does not answer: %q", got)
	}
}

func equalTrimmed(got, want []string) bool {
	return slices.EqualFunc(got, want, func(a, b string) bool { return strings.TrimRight(a, " ") == b })
}

// What moves has to fit the terminal, or moving up by the number of lines does
// not lead to the first of them.
func TestFrameFits(t *testing.T) {
	s := &screen{size: func() (int, int, error) { return 20, 5, nil }}
	for i := range 9 {
		e := event(harness.ArmStarted, "", "")
		e.Arm = fmt.Sprintf("an-arm-with-a-long-name-%d", i)
		s.update(0, e)
	}
	lines := s.frame(0)
	if len(lines) != 4 || lines[3] != "... and 6 arms more" {
		t.Errorf("%d lines on a terminal of 5: %q", len(lines), lines)
	}
	for _, line := range lines {
		if len(line) > 19 {
			t.Errorf("%d characters on a terminal of 20: %q", len(line), line)
		}
	}
}

// The terminal as it is after the last write: what has scrolled, nothing that
// moved, and the cursor at the start of an empty line.
func TestScreenLeavesACleanTerminal(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out, false, func() (int, int, error) { return 80, 24, nil })
	s.observe(event(harness.ArmStarted, "none", ""))
	s.observe(sampled(100, 1, 1))
	s.say("stopping")
	over := event(harness.ArmFinished, "", "")
	over.Result = &harness.ArmResult{Outcome: harness.Pass}
	s.observe(over)
	s.observe(event(harness.ArmStarted, "none", "")) // and it never ends
	s.say("again")
	s.close()
	rows, column := terminal(t, out.String())
	if len(rows) != 4 || rows[0] != "lockjam: stopping" || !strings.HasSuffix(rows[1], "jam/control: pass") || rows[2] != "lockjam: again" || rows[3] != "" {
		t.Errorf("the terminal shows %q", rows)
	}
	if column != 0 {
		t.Errorf("the cursor is in column %d", column)
	}
}

// terminal understands what the screen writes: text, line ends, up, and erase.
func terminal(t *testing.T, s string) (rows []string, column int) {
	t.Helper()
	rows, row := []string{""}, 0
	for s != "" {
		var n int
		switch {
		case strings.HasPrefix(s, "\r"):
			column, s = 0, s[1:]
		case strings.HasPrefix(s, "\n"):
			if row++; row == len(rows) {
				rows = append(rows, "")
			}
			column, s = 0, s[1:] // the terminal's driver adds the carriage return
		case strings.HasPrefix(s, "\x1b[K"):
			rows[row], s = rows[row][:column], s[3:]
		case strings.HasPrefix(s, "\x1b[J"):
			rows, s = append(rows[:row], rows[row][:column]), s[3:]
		case strings.HasPrefix(s, "\x1b["):
			if _, err := fmt.Sscanf(s, "\x1b[%dA", &n); err != nil {
				t.Fatalf("unknown escape sequence: %q", s[:min(len(s), 10)])
			}
			row, s = row-n, s[strings.IndexByte(s, 'A')+1:]
		default:
			rows[row] = rows[row][:column] + s[:1] + rows[row][min(column+1, len(rows[row])):]
			column, s = column+1, s[1:]
		}
	}
	return rows, column
}

func TestStreamStopsAtTheFirstErrorOfItsReader(t *testing.T) {
	gone := errors.New("broken pipe")
	var failures []error
	s := newProgress(true, false, failing{gone}, &bytes.Buffer{}, func(err error) { failures = append(failures, err) })
	s.observe(sampled(1, 1, 1))
	s.observe(sampled(2, 2, 2))
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
	screen := newScreen(&live, true, func() (int, int, error) { return 80, 24, nil })
	renderers := []progress{
		newProgress(true, false, &out, &bytes.Buffer{}, nil),
		newProgress(false, false, &bytes.Buffer{}, &log, nil),
		screen,
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 50 {
				e := event(harness.NoteEvent, "", fmt.Sprint(k))
				e.Arm = fmt.Sprint(i)
				for _, r := range renderers {
					r.observe(e)
					r.observe(sampled(float64(k), int64(k), 1))
				}
			}
		})
	}
	wg.Wait()
	for _, r := range renderers {
		r.close()
	}
	if n := strings.Count(log.String(), "\n"); n != 400 {
		t.Errorf("%d lines of 400 notes", n)
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
