package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminalOf gives a command a terminal of its own as stderr. The returned
// function closes it and tells what was written.
func terminalOf(t *testing.T) (stderr *os.File, written func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(&all, master) }) // ends with EIO once nobody has the other end
	return slave, func() string {
		_ = slave.Close()
		wg.Wait()
		_ = master.Close()
		return all.String()
	}
}

func TestLiveProgress(t *testing.T) {
	h := newHouse(t)
	stderr, written := terminalOf(t)
	cmd := h.command("run", "short.yaml", "--server", "process", "--arm", "control")
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stderr = stderr
	var out bytes.Buffer
	cmd.Stdout = &out
	begun := time.Now()
	h.ends(cmd.Run(), 0, "%s", &out)
	took := time.Since(begun)
	raw := written()
	for _, want := range []string{"baseline ", "incident ", "32/32 clients", "\x1b[32mpass\x1b[0m"} {
		if !strings.Contains(raw, want) {
			t.Errorf("the terminal never showed %q:\n%q", want, raw)
		}
	}
	if frames := strings.Count(raw, "\x1b[J"); frames < 10 || frames > int(took/redrawEvery)+2 {
		t.Errorf("%d frames in %v", frames, took)
	}
	rows, column := terminal(t, strings.NewReplacer("\x1b[32m", "", "\x1b[0m", "").Replace(raw))
	// In between there may be lines on attempts that were repeated.
	n := len(rows)
	if n < 3 || !strings.Contains(rows[0], ", seed ") || !strings.Contains(rows[n-2], "short/control: pass") || rows[n-1] != "" || column != 0 {
		t.Errorf("the terminal is left with %q, the cursor in column %d", rows, column)
	}
	h.nothingLeft()
}

func TestLiveProgressWithoutColourIsInterrupted(t *testing.T) {
	h := newHouse(t)
	stderr, written := terminalOf(t)
	cmd := h.command("run", "short.yaml", "--server", "process")
	cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=1")
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 500 { // until a server runs: there is no line to wait for
		if len(h.processes()) > 0 {
			break
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 20e6}, nil)
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_, _ = io.ReadAll(out)
	h.ends(cmd.Wait(), 130, "")
	raw := written()
	if strings.Contains(raw, "m\x1b[") || strings.Contains(raw, "\x1b[3") {
		t.Errorf("colours in spite of NO_COLOR: %q", raw)
	}
	rows, column := terminal(t, raw)
	if n := len(rows); rows[n-2] != "lockjam: interrupted by SIGINT" || rows[n-1] != "" || column != 0 {
		t.Errorf("the terminal is left with %q, the cursor in column %d", rows, column)
	}
	h.nothingLeft()
}

// CI systems often have a terminal for what they run, and keep its output in a file.
func TestNoLiveProgressInCI(t *testing.T) {
	h := newHouse(t)
	for _, variable := range []string{"CI=true", "TERM=dumb"} {
		stderr, written := terminalOf(t)
		cmd := h.command("run", "short.yaml", "--server", "process", "--arm", "nobody")
		cmd.Env = append(cmd.Env, variable)
		cmd.Stderr = stderr
		h.ends(cmd.Run(), 64, "")
		if raw := written(); strings.Contains(raw, "\x1b") {
			t.Errorf("%s: escape sequences: %q", variable, raw)
		}
	}
}
