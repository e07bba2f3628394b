package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// framesPerSecond are as many as the eye can follow figures. More would cost what is
// measured beside it.
const framesPerSecond = 5

// screen redraws a board in place; what is over scrolls up above it.
//
// The terminal stays as it is: nothing is read from it, so that Ctrl-C is a signal as
// ever, and the cursor is never hidden. It rests below, at the start of an empty line,
// so that lockjam can end at any moment, killed or in a panic, and leave the terminal as
// it should be.
//
// Events change the board and nothing more: a terminal that is slow or stopped holds up
// no sampling.
type screen struct {
	w       io.Writer
	started time.Time
	program *tea.Program
	over    chan struct{} // closed when the program is

	mu            sync.Mutex
	board         board
	width, height int
	rows          []string // to go above, no wider than the terminal
	printing      bool     // some of them are on their way
	closing       bool
	closed        bool // whatever comes is written as it is
}

// newScreen starts to draw on w. More options are for tests.
func newScreen(w io.Writer, how look, more ...tea.ProgramOption) *screen {
	s := &screen{w: w, started: time.Now(), over: make(chan struct{}), board: board{look: how}, width: 80, height: 24}
	options := append([]tea.ProgramOption{
		tea.WithOutput(w), tea.WithInput(nil), tea.WithoutSignalHandler(), tea.WithFPS(2 * framesPerSecond),
	}, more...)
	s.program = tea.NewProgram(frames{s}, options...)
	go s.run()
	return s
}

// run draws until the end. Where drawing fails, what has not been said is written
// as it is, and all that follows.
func (s *screen) run() {
	defer close(s.over)
	_, _ = s.program.Run()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.flush()
}

// flush writes what has not been said without a frame. It needs s.mu.
func (s *screen) flush() {
	for _, line := range append(s.rows, s.board.lines...) {
		_, _ = fmt.Fprintln(s.w, line)
	}
	s.rows, s.board.lines = nil, nil
}

func (s *screen) Observe(e result.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board.update(time.Since(s.started), e)
	if s.closed {
		s.flush()
	}
}

// Say draws at once: it is for a user who waits for an answer.
func (s *screen) Say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board.lines = append(s.board.lines, "lockjam: "+text.Printable(line))
	if s.closed {
		s.flush()
		return
	}
	go s.program.Send(wake{})
}

// Close leaves what has scrolled up and nothing of what moves.
func (s *screen) Close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.program.Send(wake{})
	<-s.over
}

// frames is the screen as bubbletea sees it.
type frames struct{ *screen }

// tick comes as often as a frame is drawn, wake where something cannot wait, and printed
// when rows have gone up.
type (
	tick    struct{}
	wake    struct{}
	printed struct{}
)

func next() tea.Cmd {
	return tea.Tick(time.Second/framesPerSecond, func(time.Time) tea.Msg { return tick{} })
}

func (f frames) Init() tea.Cmd { return next() }

func (f frames) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		f.width, f.height = m.Width, m.Height
	case tick:
		return f, tea.Batch(f.above(), next())
	case wake, printed:
		if m == (printed{}) {
			f.printing = false
		}
		if above := f.above(); above != nil || f.printing || !f.closing {
			return f, above
		}
		return f, tea.Quit
	}
	return f, nil
}

// freeRows stay free below the frame for what scrolls up: where more rows come at once
// than there is room for, bubbletea loses track of the frame.
const freeRows = 2

// above lets the next rows of what is over scroll up, one piece after the other, since
// pieces that are under way at once may pass each other. nil: there is nothing to be
// done. It needs s.mu.
func (s *screen) above() tea.Cmd {
	for _, line := range s.board.lines {
		s.rows = append(s.rows, folded(line, s.width-1)...)
	}
	s.board.lines = nil
	if s.printing || len(s.rows) == 0 {
		return nil
	}
	n := min(len(s.rows), freeRows)
	text := strings.Join(s.rows[:n], "\n")
	s.rows, s.printing = s.rows[n:], true
	return tea.Sequence(tea.Println(text), func() tea.Msg { return printed{} })
}

// folded breaks a line into rows, those after the first indented as the text of a
// stamped line is.
func folded(line string, width int) []string {
	const indent = 9
	if ansi.StringWidth(line) <= width || width < 3*indent {
		return strings.Split(ansi.Wrap(line, max(width, 1), ""), "\n")
	}
	rows := strings.Split(ansi.Wrap(line, width-indent, ""), "\n")
	for i := range rows[1:] {
		rows[i+1] = strings.Repeat(" ", indent) + rows[i+1]
	}
	return rows
}

// View is the frame, and an empty line for the cursor.
func (f frames) View() tea.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	if !f.closing {
		lines = f.board.view(time.Since(f.started), f.width, f.height-freeRows-1)
	}
	v := tea.NewView(strings.Join(append(lines, ""), "\n"))
	v.DisableBracketedPasteMode = true
	v.Cursor = tea.NewCursor(0, len(lines))
	v.Cursor.Shape, v.Cursor.Blink = -1, false // DECSCUSR 0: the user's own
	return v
}
