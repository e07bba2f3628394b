package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a real one, tmux, in which lockjam runs. When it has ended, the shell
// prints its exit code on a line of its own.
type terminal struct {
	t      *testing.T
	socket string
}

// inTerminal runs lockjam in a terminal of that size.
func (h *house) inTerminal(width, height int, env []string, args ...string) *terminal {
	h.t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		h.t.Skip("tmux is not on PATH: scripts/setup.sh --tests installs it")
	}
	lockjam, err := exec.LookPath("lockjam")
	if err != nil {
		h.t.Fatal(err)
	}
	term := &terminal{t: h.t, socket: filepath.Join(h.t.TempDir(), "tmux")}
	// The line above is what a prompt is: a screen that is cleared from its very top is
	// taken for worth keeping by tmux, and the frame that was there with it.
	// A Ctrl-C that comes when lockjam has ended already must not end the shell.
	script := fmt.Sprintf("echo lockjam; trap : INT; %s %s; echo exit code $?; while :; do sleep 1; done", lockjam,
		strings.Join(args, " "))
	cmd := exec.Command("tmux", "-S", term.socket, "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width),
		"-y", fmt.Sprint(height), script)
	cmd.Dir, cmd.Env = h.dir, append(append(h.command().Env, "LC_ALL="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("tmux: %v: %s", err, out)
	}
	h.t.Cleanup(func() { term.tmux("kill-server") })
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// shows is what can be seen, and with history all that has scrolled away.
func (term *terminal) shows(history bool) string {
	if history {
		return term.tmux("capture-pane", "-p", "-S", "-")
	}
	return term.tmux("capture-pane", "-p")
}

// until looks until the terminal shows all of these.
func (term *terminal) until(history bool, texts ...string) string {
	term.t.Helper()
	for deadline := time.Now().Add(endsWithin); ; time.Sleep(50 * time.Millisecond) {
		seen, missing := term.shows(history), ""
		for _, text := range texts {
			if !strings.Contains(seen, text) {
				missing = text
			}
		}
		if missing == "" {
			return seen
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("the terminal never showed %q:\n%s", missing, seen)
		}
	}
}

// isSane says what is wrong with a terminal that lockjam has left: the cursor is shown
// below the last line, keys are echoed, and nothing that moved is left over.
func (term *terminal) isSane() {
	term.t.Helper()
	if cursor := strings.TrimSpace(term.tmux("display", "-p", "#{cursor_flag} #{cursor_x}")); cursor != "1 0" {
		term.t.Errorf("cursor shown, column: %s", cursor)
	}
	if seen := term.shows(true); strings.Contains(seen, " gone") || strings.Contains(seen, " left") {
		term.t.Errorf("a frame is left over:\n%s", seen)
	}
	term.tmux("send-keys", "typed")
	term.until(false, "typed")
}

func TestTerminal(t *testing.T) {
	h := newHouse(t)
	term := h.inTerminal(100, 30, []string{"LANG=C.UTF-8"}, "run", "short.yaml", "--server", "process", "--arm",
		"control")
	term.until(false, "0 of 1 arm done", "short/control", "baseline ", "/32 clients", "█")
	term.until(false, "● ") // of the incident, or of a machine that is busy with other tests
	seen := term.until(true, "exit code ")
	for _, want := range []string{"1 arm, 3 side by side", "[1/1] short/control: ", "outcome: "} {
		if !strings.Contains(seen, want) {
			t.Errorf("the terminal never showed %q:\n%s", want, seen)
		}
	}
	term.isSane()
	h.nothingLeft()
}

// Ctrl-C is a key here, and what the terminal makes of it.
func TestTerminalInterrupted(t *testing.T) {
	h := newHouse(t)
	term := h.inTerminal(40, 12, []string{"LANG=C"}, "run", "short.yaml", "--server", "process", "--repeat", "20",
		"--seed", "7")
	term.until(false, "0 of 40 arms done", "baseline ")
	term.tmux("send-keys", "C-c")
	term.until(true, "lockjam: stopping: cleaning up", "lockjam: interrupted by SIGINT", "exit code 130")
	term.isSane()
	h.nothingLeft()
}

// The second Ctrl-C ends lockjam at once, wherever it is.
func TestTerminalInterruptedTwice(t *testing.T) {
	h := newHouse(t)
	term := h.inTerminal(80, 24, nil, "run", "short.yaml", "--server", "process", "--repeat", "20")
	term.until(false, "0 of 40 arms done", "baseline ")
	// A server that is stopped takes its time to clean up.
	for _, pid := range h.servers() {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	term.tmux("send-keys", "C-c")
	term.until(true, "lockjam: stopping")
	time.Sleep(2 * echo) // sooner it would be taken for the same
	term.tmux("send-keys", "C-c")
	term.until(true, "exit code 130")
	if shown := strings.TrimSpace(term.tmux("display", "-p", "#{cursor_flag}")); shown != "1" {
		t.Errorf("the cursor is not shown: %s", shown)
	}
	term.tmux("send-keys", "typed")
	term.until(false, "typed")
	h.lockjam(0, "clean")
	if left := h.servers(); len(left) > 0 {
		t.Errorf("servers are left: %v", left)
	}
}

// servers are the processes of this house's runs that work in a folder of their own.
func (h *house) servers() (pids []int) {
	for _, pid := range h.processes() {
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && strings.HasPrefix(cwd, h.tmp) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// onTerminal runs lockjam with a terminal as stderr, and returns every byte that it was sent.
func onTerminal(t *testing.T, cmd *exec.Cmd) (written string, err error) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = slave
	read := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(master) // ends with EIO once the other end is closed
		read <- all.String()
	}()
	err = cmd.Run()
	_ = slave.Close()
	written = <-read
	_ = master.Close()
	return written, err
}

// Of the terminal nothing is asked and nothing is changed, not even the cursor for
// longer than a frame is written. Without colours there are none.
func TestTerminalIsLeftAlone(t *testing.T) {
	h := newHouse(t)
	colour := regexp.MustCompile(`\x1b\[[0-9;]+m`)
	for _, c := range []struct {
		env     string
		colours bool
	}{{"NO_COLOR=", true}, {"NO_COLOR=1", false}} {
		cmd := h.command("run", "short.yaml", "--server", "process", "--arm", "control")
		cmd.Env = append(cmd.Env, "TERM=xterm", c.env)
		raw, err := onTerminal(t, cmd)
		if err != nil { // on a machine that is busy with other tests nothing may be shown
			h.ends(err, 2, "%q", raw)
		}
		if got := colour.MatchString(raw); got != c.colours {
			t.Errorf("%s: colours: %v: %q", c.env, got, raw)
		}
		if n := strings.Count(raw, "\x1b[?25h"); n < 5 || n < strings.Count(raw, "\x1b[?25l") {
			t.Errorf("%s: the cursor is shown %d times and hidden %d times", c.env, n, strings.Count(raw, "\x1b[?25l"))
		}
		// Queries, the alternate screen, bracketed paste, keyboards, cursor styles.
		for _, never := range []string{"\x1b[c", "$p", "?1049", "?2004", "\x1b[>", " q"} {
			if strings.Contains(raw, never) {
				t.Errorf("%s: the terminal was sent %q: %q", c.env, never, raw)
			}
		}
	}
	h.nothingLeft()
}

// CI systems often have a terminal for what they run, and keep its output in a file.
func TestNoLiveProgressInCI(t *testing.T) {
	h := newHouse(t)
	for _, variable := range []string{"CI=true", "TERM=dumb"} {
		cmd := h.command("run", "short.yaml", "--server", "process", "--arm", "nobody")
		cmd.Env = append(cmd.Env, variable)
		raw, err := onTerminal(t, cmd)
		h.ends(err, 64, "%s", raw)
		if strings.Contains(raw, "\x1b") {
			t.Errorf("%s: escape sequences: %q", variable, raw)
		}
	}
}
