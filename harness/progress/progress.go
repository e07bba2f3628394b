// Package progress shows a run while it goes on: a screen on a terminal, lines elsewhere, or the
// stream of events.
package progress

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Progress shows a run while it goes on. Its methods are called from several
// goroutines at once.
type Progress interface {
	Observe(result.Event)
	// Say prints a line of lockjam's own to stderr, between the others.
	Say(line string)
	// Close is the last call: the cursor is at the start of an empty line.
	Close()
}

// newProgress picks the renderer. One whose output is the result calls fail when
// it cannot write any more.
func New(asJSON, quiet bool, stdout, stderr io.Writer, fail func(error)) Progress {
	switch {
	case asJSON:
		return &stream{out: json.NewEncoder(stdout), err: stderr, fail: fail}
	case quiet:
		return newPlain(stderr, true)
	}
	if f, ok := stderr.(*os.File); ok && isLive(int(f.Fd()), os.Getenv) {
		return newScreen(f, look{color: os.Getenv("NO_COLOR") == "", unicode: isUTF8(os.Getenv)})
	}
	return newPlain(stderr, false)
}

// isLive reports whether lines can be redrawn in place. CI systems often have a
// terminal for whatever they run, and keep its output in a file.
func isLive(fd int, getenv func(string) string) bool {
	return term.IsTerminal(fd) && getenv("CI") == "" && getenv("TERM") != "dumb"
}

// isUTF8 reports whether the locale has more than ASCII. The first of these that is set
// decides (POSIX, 8.2 Internationalization Variables).
func isUTF8(getenv func(string) string) bool {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

// stream prints every event as it is, a line each.
type stream struct {
	mu     sync.Mutex
	out    *json.Encoder
	err    io.Writer
	failed bool
	fail   func(error)
}

func (s *stream) Close() {}

func (s *stream) Observe(e result.Event) {
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

func (s *stream) Say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintln(s.err, "lockjam: "+text.Printable(line))
}

// sumEvery is how often a run that is told in lines says how far it is.
const sumEvery = 30 * time.Second

// plain prints a line for everything that happens but samples and signals, and every
// half minute how far the run is.
type plain struct {
	mu      sync.Mutex
	w       io.Writer
	quiet   bool
	started time.Time
	tally   tally
	begun   time.Time // the run
	stop    chan struct{}
	stopped chan struct{}
}

func newPlain(w io.Writer, quiet bool) *plain {
	p := &plain{w: w, quiet: quiet, started: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{})}
	go p.sum(sumEvery)
	return p
}

func (p *plain) sum(every time.Duration) {
	defer close(p.stopped)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.sumNow()
		case <-p.stop:
			return
		}
	}
}

func (p *plain) sumNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line := p.tally.sum(float64(time.Since(p.begun).Milliseconds())); line != "" && !p.quiet {
		_, _ = fmt.Fprintln(p.w, stamped(time.Since(p.started), line))
	}
}

func (p *plain) Close() {
	close(p.stop)
	<-p.stopped
}

func (p *plain) Observe(e result.Event) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.Observe(e)
	if e.Kind == result.RunStarted {
		p.begun = time.Now()
	}
	line := story(e)
	if line == "" {
		return
	}
	_, _ = fmt.Fprintln(p.w, stamped(time.Since(p.started), p.tally.titled(e, line)))
}

func (p *plain) Say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.w, "lockjam: "+text.Printable(line))
}

// stamped is a line of the log: seconds since lockjam was started, what happened.
func stamped(at time.Duration, line string) string {
	return fmt.Sprintf("%6.1fs  %s", at.Seconds(), line)
}

// label names an arm as its folder does, but for the image, which has its whole name.
func label(e result.Event) string {
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
func story(e result.Event) string {
	line := ""
	switch e.Kind {
	case result.RunStarted:
		line = fmt.Sprintf("run %s, seed %d, in %s", e.Run.ID, e.Run.Seed, e.Folder)
		if e.Plan != nil {
			line = fmt.Sprintf("%s: %s, %d side by side", line, text.Plural(e.Plan.Total, "arm"), e.Plan.Parallel)
		}
	case result.ArmStarted:
		line = "starts a server"
	case result.ArmRepeated:
		line = "once more: " + e.Detail
	case result.ArmFinished:
		line = ending(e.Result)
	case result.PhaseEvent:
		line = phaseStory(e)
	case result.TriggerEvent:
		line = "trigger " + join(e.Name, e.Detail)
	case result.DeadlockEvent:
		line = "proved " + join(e.Name, e.Detail)
	case result.RemedyEvent:
		line = remedyStory(e)
	case result.StepEvent:
		line = "step: " + join(e.Name, e.Detail)
	case result.NoteEvent:
		line = "note: " + join(e.Name, e.Detail)
	}
	return short(text.Printable(strings.ReplaceAll(line, "\n", " ")))
}

// phaseStory skips the end of the last phase, which the end of the arm tells of.
func phaseStory(e result.Event) string {
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

func remedyStory(e result.Event) string {
	if e.Name == history.Begun {
		return "remedy " + e.Detail
	}
	return "remedy " + join(strings.ReplaceAll(e.Name, "-", " "), e.Detail)
}

// ending is what came of an arm, in a line.
func ending(r *result.Arm) string {
	line := outcomeWord(r.Outcome)
	if r.Verdict != "" {
		line += ", " + string(r.Verdict)
	}
	if r.Unsafe {
		line += ", UNSAFE"
	}
	if open := r.NotChecked(); open != "" && r.Outcome == result.Pass {
		line += ", " + open
	}
	switch {
	case r.Outcome != result.Pass && len(r.Reasons) > 0:
		line += ": " + strings.Join(r.Reasons, "; ")
	case r.Because != "":
		line += ": " + r.Because
	}
	return line
}

// outcomeWord lets what failed stand out among hundreds of lines.
func outcomeWord(o result.Outcome) string {
	if o == result.Fail {
		return "FAIL"
	}
	return string(o)
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
