package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/history"
)

// progress shows a run while it goes on. Its methods are called from several
// goroutines at once.
type progress interface {
	observe(harness.Event)
	// say prints a line of lockjam's own to stderr, between the others.
	say(line string)
	// close is the last call: the cursor is at the start of an empty line.
	close()
}

// newProgress picks the renderer. One whose output is the result calls fail when
// it cannot write any more.
func newProgress(asJSON, quiet bool, stdout, stderr io.Writer, fail func(error)) progress {
	switch {
	case asJSON:
		return &stream{out: json.NewEncoder(stdout), err: stderr, fail: fail}
	case quiet:
		return &plain{w: stderr, quiet: true, started: time.Now()}
	}
	if f, ok := stderr.(*os.File); ok && isLive(int(f.Fd()), os.Getenv) {
		return newScreen(stderr, os.Getenv("NO_COLOR") == "", func() (int, int, error) { return term.GetSize(int(f.Fd())) })
	}
	return &plain{w: stderr, started: time.Now()}
}

// isLive says whether lines can be redrawn in place. CI systems often have a
// terminal for whatever they run, and keep its output in a file.
func isLive(fd int, getenv func(string) string) bool {
	return term.IsTerminal(fd) && getenv("CI") == "" && getenv("TERM") != "dumb"
}

// stream prints every event as it is, a line each.
type stream struct {
	mu     sync.Mutex
	out    *json.Encoder
	err    io.Writer
	failed bool
	fail   func(error)
}

func (s *stream) close() {}

func (s *stream) observe(e harness.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return
	}
	if err := s.out.Encode(e); err != nil {
		s.failed = true
		s.fail(fmt.Errorf("cannot write events to stdout: %w", err))
	}
}

func (s *stream) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintln(s.err, "lockjam: "+printable(line))
}

// plain prints a line for everything that happens but the samples.
type plain struct {
	mu      sync.Mutex
	w       io.Writer
	quiet   bool
	started time.Time
}

func (p *plain) close() {}

func (p *plain) observe(e harness.Event) {
	if p.quiet {
		return
	}
	text := story(e)
	if text == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.w, stamped(time.Since(p.started), e, text))
}

func (p *plain) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.w, "lockjam: "+printable(line))
}

// stamped is a line of the log: seconds since lockjam was started, the arm, what happened.
func stamped(at time.Duration, e harness.Event, text string) string {
	if name := label(e); name != "" {
		text = name + ": " + text
	}
	return fmt.Sprintf("%6.1fs  %s", at.Seconds(), text)
}

// label names an arm as its folder does, but for the image, which has its whole name.
func label(e harness.Event) string {
	if e.Arm == "" {
		return ""
	}
	name := e.Scenario + "/" + e.Arm
	if e.Repeat > 1 {
		name = fmt.Sprintf("%s@%d", name, e.Repeat)
	}
	if e.Image != "" {
		name += " on " + e.Image
	}
	return name
}

// story tells an event in a line; "" has nothing to tell.
func story(e harness.Event) string {
	text := ""
	switch e.Kind {
	case harness.RunStarted:
		text = fmt.Sprintf("run %s, seed %d, in %s", e.Run.ID, e.Run.Seed, e.Folder)
	case harness.ArmStarted:
		text = "starts a server"
	case harness.ArmRepeated:
		text = "once more: " + e.Detail
	case harness.ArmFinished:
		text = ending(e.Result)
	case harness.PhaseEvent:
		text = phaseStory(e)
	case harness.EventKind(history.TriggerMark):
		text = "trigger " + join(e.Name, e.Detail)
	case harness.EventKind(history.RemedyMark):
		text = remedyStory(e)
	case harness.StepEvent:
		text = "step: " + join(e.Name, e.Detail)
	case harness.NoteEvent:
		text = "note: " + join(e.Name, e.Detail)
	}
	return short(printable(strings.ReplaceAll(text, "\n", " ")))
}

// phaseStory skips the end of the last phase, which the end of the arm tells of.
func phaseStory(e harness.Event) string {
	switch e.Name {
	case history.Warmup:
		return "waits for a steady baseline"
	case history.Baseline:
		return "the baseline is steady"
	case history.End:
		return ""
	}
	return e.Name
}

func remedyStory(e harness.Event) string {
	if e.Name == history.Begun {
		return "remedy " + e.Detail
	}
	return "remedy " + join(strings.ReplaceAll(e.Name, "-", " "), e.Detail)
}

// ending is what came of an arm, in a line.
func ending(r *harness.ArmResult) string {
	text := string(r.Outcome)
	if r.Verdict != "" {
		text += ", " + string(r.Verdict)
	}
	if r.Unsafe {
		text += ", UNSAFE"
	}
	switch {
	case r.Outcome != harness.Pass && len(r.Reasons) > 0:
		text += ": " + strings.Join(r.Reasons, "; ")
	case r.Because != "":
		text += ": " + r.Because
	}
	return text
}

func join(name, detail string) string {
	if name == "" || detail == "" {
		return name + detail
	}
	return name + ": " + detail
}

// short keeps a server's long answer (a list of a thousand keys) from filling
// the screen. The report has all of it.
func short(s string) string {
	const most = 240
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
