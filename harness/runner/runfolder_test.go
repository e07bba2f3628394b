package runner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// A link in a run folder may lead anywhere, and the folder may come from anywhere:
// nothing is read or written through one that leads out.
func TestRejudgeStaysInItsFolder(t *testing.T) {
	const arm = "healthy/control"
	for _, link := range []string{"healthy", arm, arm + "/" + rundir.ScenarioFile, arm + "/" + rundir.HistoryFile,
		rundir.RunFile} {
		folder, outside := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "outside")
		text := `{"schema": "lockjam/run/v1", "status": "completed", "scenarios": [{"name": "healthy", "arms": [{"name": "control", "folder": "` + arm + `"}]}]}`
		for _, at := range []string{arm, "."} {
			if err := os.MkdirAll(filepath.Join(folder, at), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.CopyFS(filepath.Join(folder, arm), os.DirFS(filepath.Join(golden, arm))); err != nil {
			t.Fatal(err)
		}
		if err := history.WriteFile(filepath.Join(folder, rundir.RunFile), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Rejudge(folder); err != nil { // as it is, it can be judged
			t.Fatal(err)
		}
		if err := errors.Join(os.Rename(filepath.Join(folder, link), outside),
			os.Symlink(outside, filepath.Join(folder, link))); err != nil {
			t.Fatal(err)
		}
		before := modified(t, outside)
		if _, _, err := Rejudge(folder); !errors.Is(err, result.ErrUsage) || !strings.Contains(err.Error(), "escapes") {
			t.Errorf("%s leads out: %v", link, err)
		}
		if after := modified(t, outside); after != before {
			t.Errorf("%s leads out, and was written through", link)
		}
	}
}

// One recording that is lost takes no other arm's verdict with it, and none is lost with it.
func TestRejudgeWithoutARecording(t *testing.T) {
	folder := t.TempDir()
	text := `{"schema": "lockjam/run/v1", "status": "completed", "outcome": "pass", "scenarios": [`
	for i, name := range []string{"healthy", "near-limit"} {
		arm := name + "/control"
		if err := os.CopyFS(filepath.Join(folder, arm), os.DirFS(filepath.Join(golden, arm))); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			text += ","
		}
		text += `{"name": "` + name + `", "arms": [{"name": "control", "outcome": "pass", "folder": "` + arm + `"}]}`
	}
	if err := history.WriteFile(filepath.Join(folder, rundir.RunFile), []byte(text+"]}")); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(folder, "healthy", "control")
	if err := os.Remove(filepath.Join(gone, rundir.HistoryFile)); err != nil {
		t.Fatal(err)
	}
	before := modified(t, gone)
	r, changes, err := Rejudge(folder)
	if err != nil || len(changes) != 2 {
		t.Fatalf("%v, %+v", err, changes)
	}
	if c := changes[0]; !errors.Is(c.Lost, os.ErrNotExist) || c.Turned() || c.Was.Folder != "healthy/control" ||
		r.Scenarios[0].Arms[0].Outcome != result.Pass {
		t.Errorf("what is lost: %+v", c)
	}
	if c := changes[1]; c.Lost != nil || c.Now.Phases == nil { // run.json says nothing of its phases
		t.Errorf("what is there: %+v", c)
	}
	if modified(t, gone) != before {
		t.Error("the folder of what is lost was written to")
	}
	if _, err := Margins(folder, 0.1); err != nil {
		t.Errorf("margins: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(folder, "near-limit")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Rejudge(folder); !errors.Is(err, result.ErrUsage) ||
		!strings.Contains(err.Error(), "healthy/control cannot be judged again") {
		t.Errorf("all are lost: %v", err)
	}
}

// modified says what is in a folder or file, and since when.
func modified(t *testing.T, path string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.Walk(path, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			all.WriteString(path + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// A pipe without a writer, under the name of any file of a run folder, does not keep a reader
// waiting; a file that is too large is not read to its end.
func TestRejudgeOfFilesThatAreNone(t *testing.T) {
	const arm = "healthy/control"
	for _, name := range []string{".", "healthy", arm, rundir.RunFile, arm + "/" + rundir.ScenarioFile, arm + "/" +
		rundir.HistoryFile} {
		for what, put := range map[string]func(string) error{
			"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o644) },
			"a folder": func(path string) error { return os.Mkdir(path, 0o755) },
			"huge": func(path string) error {
				return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40))
			},
		} {
			folder := t.TempDir()
			text := `{"schema": "lockjam/run/v1", "status": "completed", "scenarios": [{"name": "healthy", "arms": [{"name": "control", "folder": "` + arm + `"}]}]}`
			err := errors.Join(os.CopyFS(filepath.Join(folder, arm), os.DirFS(filepath.Join(golden, arm))),
				history.WriteFile(filepath.Join(folder, rundir.RunFile), []byte(text)),
				os.RemoveAll(filepath.Join(folder, name)), put(filepath.Join(folder, name)))
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { _, _, err := Rejudge(folder); ended <- err }()
			select {
			case err := <-ended:
				if !errors.Is(err, result.ErrUsage) {
					t.Errorf("%s is %s: %v", name, what, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s is %s: it hangs", name, what)
			}
		}
	}
}
