package runner

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// golden is a run folder of a few recorded arms, one at least for every kind of verdict and
// proof. It is made anew only when the journal's format changes.
const golden = "../testdata/golden"

// A recorded run is judged again: a judge that comes to other verdicts on the same history
// has changed its mind, and must say so in CHANGELOG. A journal or scenario that it cannot
// read any more breaks the promise that recorded runs stay readable.
func TestGoldenRunIsJudgedAsBefore(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	_, changes, err := Rejudge(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Errorf("changed: %s, %s, %s (%v)", c.Was.Folder, c.Now.Outcome, c.Now.Verdict, c.Lost)
	}
	compact := func(folder string) []byte {
		data, err := os.ReadFile(filepath.Join(folder, rundir.RunFile))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Compact(&b, data); err != nil {
			t.Fatal(err)
		}
		return bytes.TrimSpace(b.Bytes())
	}
	if before, after := compact(golden), compact(folder); !bytes.Equal(before, after) {
		t.Errorf("%s is not the same to the byte", rundir.RunFile)
	}
}

// The golden run covers what the judge can say: a kind that it lacks is judged by no
// recording.
func TestGoldenRunCoversEveryKind(t *testing.T) {
	r, err := rundir.Load(golden)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			has[string(a.Outcome)], has[string(a.Verdict)] = true, true
			if a.Unsafe {
				has["unsafe"] = true
			}
			if a.Deadlock != nil {
				has[a.Deadlock.Kind] = true
			}
		}
	}
	want := []string{
		"pass", "fail", "inconclusive", "unsafe",
		"cured", "relapsed", "partial", "no-effect", "blocked", "prevented", "mitigated", "not-prevented",
		string(waitgraph.Livelock), string(waitgraph.Slowness), string(waitgraph.Unproved),
	}
	for _, kind := range scenario.KindWords {
		want = append(want, kind.Text)
	}
	for _, kind := range want {
		if !has[kind] {
			t.Errorf("no arm of %s is %s", golden, kind)
		}
	}
}

// What turned is told apart from what only has other figures.
func TestRejudgeSaysWhatTurned(t *testing.T) {
	const only = "healthy"
	folder := t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, only), os.DirFS(filepath.Join(golden, only))); err != nil {
		t.Fatal(err)
	}
	r, err := rundir.Load(golden)
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
