package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/history"
)

// redrawEvery is as often as the eye can follow figures.
const redrawEvery = 200 * time.Millisecond

// goodputOver is the stretch that the goodput on the screen is taken over.
const goodputOver = 1000 // ms

// screen redraws a line per running arm in place; what is over scrolls up. The
// cursor always rests below, at the start of an empty line, so that lockjam
// can end at any moment and leave the terminal as it should be.
type screen struct {
	w       io.Writer
	color   bool
	size    func() (width, height int, err error)
	started time.Time
	stop    chan struct{}
	stopped chan struct{}

	mu       sync.Mutex
	arms     []*armLine // that run now, in the order of their start
	scrolled []string   // to go above them with the next frame
	drawn    int        // lines of the last frame
}

// armLine is what is known of a running arm.
type armLine struct {
	label  string
	phase  string
	since  time.Duration // when the phase began, since the start of the screen
	loads  []loadAt      // over the last second
	latest harness.Load
}

type loadAt struct {
	ms        float64
	decisions int64
}

func newScreen(w io.Writer, color bool, size func() (int, int, error)) *screen {
	s := &screen{w: w, color: color, size: size, started: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{})}
	go s.redraw()
	return s
}

func (s *screen) redraw() {
	defer close(s.stopped)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.mu.Lock()
			s.draw(s.frame(time.Since(s.started)))
			s.mu.Unlock()
		case <-s.stop:
			return
		}
	}
}

// close leaves what has scrolled up and nothing of what moves.
func (s *screen) close() {
	close(s.stop)
	<-s.stopped
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arms = nil // whatever is said from now on is said without them
	s.draw(nil)
}

// say draws at once: it is for somebody who waits for an answer.
func (s *screen) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scrolled = append(s.scrolled, "lockjam: "+printable(line))
	s.draw(s.frame(time.Since(s.started)))
}

func (s *screen) observe(e harness.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.update(time.Since(s.started), e)
}

// update takes an event that came at now. It needs s.mu.
func (s *screen) update(now time.Duration, e harness.Event) {
	switch e.Kind {
	case harness.RunStarted, harness.ArmRepeated, harness.NoteEvent:
		s.scrolled = append(s.scrolled, stamped(now, e, story(e)))
	case harness.ArmStarted:
		s.forget(e)
		s.arms = append(s.arms, &armLine{label: printable(label(e)), phase: "starting", since: now})
	case harness.ArmFinished:
		s.forget(e)
		s.scrolled = append(s.scrolled, stamped(now, e, s.painted(e)))
	case harness.PhaseEvent:
		// The baseline is marked when it is over, and begins with the warm-up.
		if a := s.find(e); a != nil && e.Name != history.Baseline {
			a.phase, a.since = e.Name, now
			switch e.Name {
			case history.Warmup:
				a.phase = history.Baseline
			case history.End:
				a.phase = "stopping"
			}
		}
	case harness.Sampled:
		if a := s.find(e); a != nil && e.Load != nil {
			a.sample(e.AtMS, *e.Load)
		}
	}
}

func (s *screen) find(e harness.Event) *armLine {
	if i := slices.IndexFunc(s.arms, func(a *armLine) bool { return a.label == printable(label(e)) }); i >= 0 {
		return s.arms[i]
	}
	return nil
}

func (s *screen) forget(e harness.Event) {
	s.arms = slices.DeleteFunc(s.arms, func(a *armLine) bool { return a.label == printable(label(e)) })
}

// painted is the end of an arm with its outcome in colour.
func (s *screen) painted(e harness.Event) string {
	text := story(e)
	if !s.color {
		return text
	}
	outcome := string(e.Result.Outcome)
	code := map[harness.Outcome]int{harness.Pass: 32, harness.Fail: 31, harness.Inconclusive: 33}[e.Result.Outcome]
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m%s", code, outcome, strings.TrimPrefix(text, outcome))
}

func (a *armLine) sample(ms float64, load harness.Load) {
	a.latest = load
	a.loads = append(a.loads, loadAt{ms, load.Decisions})
	for len(a.loads) > 2 && a.loads[1].ms <= ms-goodputOver {
		a.loads = a.loads[1:]
	}
}

// goodput is in decisions per second over the last second.
func (a *armLine) goodput() string {
	if len(a.loads) < 2 {
		return "-"
	}
	first, last := a.loads[0], a.loads[len(a.loads)-1]
	if last.ms <= first.ms {
		return "-"
	}
	return fmt.Sprintf("%.0f/s", float64(last.decisions-first.decisions)*1000/(last.ms-first.ms))
}

func (a *armLine) clients() string {
	switch {
	case len(a.loads) == 0:
		return ""
	case a.latest.MaxClients == 0:
		return "no answer"
	}
	return fmt.Sprintf("%d/%d clients", a.latest.Connected, a.latest.MaxClients)
}

// frame is what moves, a line per running arm, cut to what fits the terminal.
// It needs s.mu.
func (s *screen) frame(now time.Duration) []string {
	width, height, err := s.size()
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	longest := 0
	for _, a := range s.arms {
		longest = max(longest, len([]rune(a.label)))
	}
	var lines []string
	for i, a := range s.arms {
		if left := len(s.arms) - i; len(lines) == max(height-2, 1) && left > 1 {
			lines = append(lines, fmt.Sprintf("... and %s more", count(left, "arm")))
			break
		}
		lines = append(lines, fmt.Sprintf("%-*s  %-9s %5.1fs  %7s  %s",
			longest, a.label, a.phase, max(now-a.since, 0).Seconds(), a.goodput(), a.clients()))
	}
	for i, line := range lines {
		// A line as wide as the terminal wraps on some, and two lines are one too many.
		if r := []rune(strings.TrimRight(line, " ")); len(r) >= width {
			lines[i] = string(r[:width-1])
		}
	}
	return lines
}

// draw replaces the last frame by what has scrolled and the next one, in a
// single write. It needs s.mu.
func (s *screen) draw(lines []string) {
	if len(lines) == 0 && len(s.scrolled) == 0 && s.drawn == 0 {
		return
	}
	var b strings.Builder
	b.WriteByte('\r')
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	for _, line := range append(s.scrolled, lines...) {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	s.scrolled, s.drawn = nil, len(lines)
	_, _ = io.WriteString(s.w, b.String())
}
