package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The steps of action.yml, as a runner would run them: with its files and folders, the
// inputs in the environment, and lockjam built already.
func TestActionSteps(t *testing.T) {
	h := newHouse(t)
	if err := os.Mkdir(filepath.Join(h.dir, "chaos"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.short("chaos/planted.yaml", "expect: {verdict: no-effect}", "expect: {verdict: no-effect, unsafe: true}")
	line := lineOf(t, filepath.Join(h.dir, "chaos/planted.yaml"), "unsafe: true")
	a := newAction(t, h)
	code, out := a.step("run", "SCENARIOS=chaos/planted.yaml", "ARGS=--arm\ncontrol --quiet", "SERVER=process",
		"IMAGE=", "OUT=lockjam-results")
	if code != 0 {
		t.Fatalf("run exits with %d: the last step is to do that\n%s", code, out)
	}
	want := fmt.Sprintf("::error file=chaos/planted.yaml,line=%d,col=42,title=lockjam%%3A short / control::remedy none was expected to be unsafe and was safe", line)
	if !strings.Contains(out, "\n"+want) {
		t.Errorf("no %q in\n%s", want, out)
	}
	// What lockjam run prints stands between the two, and is no command.
	begun, ended := strings.Index(out, "::stop-commands::"), strings.Index(out, "::error")
	if begun != 0 || !strings.Contains(out[:ended], "SCENARIO") {
		t.Errorf("commands are not stopped while lockjam runs:\n%s", out)
	}
	if summary := readFile(t, a.file("summary")); !strings.HasPrefix(summary, "# lockjam run") {
		t.Errorf("the summary is %.80q", summary)
	}
	output := readFile(t, a.file("output"))
	if !strings.HasPrefix(output, "exit-code=1\nrun-folder=lockjam-results/2") {
		t.Errorf("output: %q", output)
	}
	if code, _ := a.step("exit", "EXIT_CODE=1"); code != 1 {
		t.Errorf("the action exits with %d", code)
	}
}

// An input is never a part of the shell: it is one word or several, and an argument.
func TestActionExpandsNothing(t *testing.T) {
	h := newHouse(t)
	a := newAction(t, h)
	_, out := a.step("run", "SCENARIOS=$(touch${IFS}owned) `touch owned`;touch owned", "ARGS=*", "SERVER=process",
		"IMAGE=", "OUT=out")
	if _, err := os.Stat(filepath.Join(h.dir, "owned")); err == nil {
		t.Error("an input was run")
	}
	if output := readFile(t, a.file("output")); output != "exit-code=64\n" {
		t.Errorf("output %q of\n%s", output, out)
	}
	if code, _ := a.step("exit", "EXIT_CODE=64"); code != 64 {
		t.Errorf("the action exits with %d", code)
	}
}

// action is a runner's files.
type action struct {
	t    *testing.T
	h    *house
	temp string
}

func newAction(t *testing.T, h *house) *action {
	a := &action{t: t, h: h, temp: t.TempDir()}
	lockjam, err := exec.LookPath("lockjam")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(a.temp, "lockjam"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(lockjam, filepath.Join(a.temp, "lockjam", "lockjam")); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *action) file(name string) string { return filepath.Join(a.temp, name) }

// step runs a step's script in the workspace.
func (a *action) step(name string, env ...string) (code int, out string) {
	a.t.Helper()
	script, err := filepath.Abs("../../scripts/action.sh")
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.CommandContext(a.t.Context(), "sh", script, name)
	cmd.Dir = a.h.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+a.h.tmp, "RUNNER_TEMP="+a.temp, "GITHUB_WORKSPACE="+a.h.dir,
		"GITHUB_STEP_SUMMARY="+a.file("summary"), "GITHUB_OUTPUT="+a.file("output"))
	cmd.Env = append(cmd.Env, env...)
	text, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		a.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// lineOf is the line of a file that holds a text, counted from 1.
func lineOf(t *testing.T, path, text string) int {
	t.Helper()
	before, _, ok := strings.Cut(readFile(t, path), text)
	if !ok {
		t.Fatalf("%s has no %q", path, text)
	}
	return strings.Count(before, "\n") + 1
}
