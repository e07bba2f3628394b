package runner

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// The run that README shows is judged again: a judge that comes to other
// verdicts on the same history has changed its mind, and must say so in
// CHANGELOG. A journal or scenario that it cannot read any more breaks the
// promise that recorded runs stay readable.
func TestReferenceRunIsJudgedAsBefore(t *testing.T) {
	const reference = "../../results/reference"
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(reference)); err != nil {
		t.Fatal(err)
	}
	r, changes, err := Rejudge(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Errorf("changed: %s, %s, %s", c.Now.Folder, c.Now.Outcome, c.Now.Verdict)
	}
	if r.Outcome != result.Pass {
		t.Errorf("outcome %s", r.Outcome)
	}
	files, err := filepath.Glob(filepath.Join(reference, "*", "*", rundir.VerdictFile))
	if err != nil || len(files) == 0 {
		t.Fatalf("no verdicts: %v", err)
	}
	for _, path := range append(files, filepath.Join(reference, rundir.RunFile)) {
		within, _ := filepath.Rel(reference, path)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(filepath.Join(folder, within))
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s is not the same to the byte: %v", within, err)
		}
	}
}

// What turned is told apart from what only has other figures.
func TestRejudgeSaysWhatTurned(t *testing.T) {
	const reference, only = "../../results/reference", "healthy"
	folder := t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, only), os.DirFS(filepath.Join(reference, only))); err != nil {
		t.Fatal(err)
	}
	r, err := rundir.Load(reference)
	if err != nil {
		t.Fatal(err)
	}
	r.Scenarios = slices.DeleteFunc(r.Scenarios, func(s result.Scenario) bool { return s.Name != only })
	arm := &r.Scenarios[0].Arms[0]
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range []struct {
		name    string
		was     func()
		changed bool
		turned  bool
	}{
		{"nothing", func() {}, false, false},
		{"a figure", func() { arm.Goodput.Before = nil }, true, false},
		{"the outcome", func() { arm.Outcome = result.Fail }, true, true},
		{"the verdict", func() { arm.Verdict = result.Cured }, true, true},
		{"safety", func() { arm.Unsafe = true }, true, true},
	} {
		right := *arm
		c.was()
		if err := rundir.WriteJSON(root, rundir.RunFile, r); err != nil {
			t.Fatal(err)
		}
		*arm = right
		_, changes, err := Rejudge(folder)
		if err != nil || len(changes) > 0 != c.changed || c.changed && changes[0].Turned() != c.turned {
			t.Errorf("%s was other: %v, %+v", c.name, err, changes)
		}
	}
}
