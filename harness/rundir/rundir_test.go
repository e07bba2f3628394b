package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
)

// What is no run, or no run that can be read, is said in one line; none of it is a fault
// of lockjam's.
func TestLoadRunRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing in it", "", "is damaged or cut short"},
		{"cut short", `{"schema": "lockjam/run/v1", "scenarios": [{"na`, "is damaged or cut short"},
		{"deep", `{"schema": "lockjam/run/v1", "x": ` + strings.Repeat("[", 1<<20), "is damaged or cut short"},
		{"of a newer lockjam", `{"schema": "lockjam/run/v2", "scenarios": 7}`,
			"use the lockjam that wrote it, or a newer one"},
		{"somebody else's", `{"schema": "x"}`, "is not of lockjam"},
		{"of another shape", `{"schema": "lockjam/run/v1", "scenarios": 7}`, "is damaged"},
		{"an absolute arm folder", `{"schema": "lockjam/run/v1", "scenarios": [{"arms": [{"folder": "/etc"}]}]}`,
			`outside of itself: "/etc"`},
		{"an arm folder above", `{"schema": "lockjam/run/v1", "scenarios": [{"arms": [{"folder": "a/../../b"}]}]}`,
			"outside of itself"},
		{"a line end in a name", `{"schema": "lockjam/run/v1", "scenarios": [{"arms": [{"folder": "../\n"}]}]}`,
			`"../\n"`},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, RunFile), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(folder)
		if !errors.Is(err, result.ErrUsage) || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q in one line", c.name, err, c.want)
		}
	}
	for name, folder := range map[string]string{"an empty folder": t.TempDir(),
		"none": filepath.Join(t.TempDir(), "none"), "a file": "runfolder_test.go"} {
		if _, err := Load(folder); !errors.Is(err, result.ErrUsage) ||
			!strings.Contains(err.Error(), folder+" is not a run folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever run.json holds: it is a run or a line that says why not.
func FuzzLoadRun(f *testing.F) {
	f.Add([]byte(`{"schema": "lockjam/run/v1", "scenarios": [{"name": "s", "arms": [{"name": "control", "folder": "s/control"}]}]}`))
	f.Add([]byte(`{"schema": "lockjam/run/v2"}`))
	f.Add([]byte(`{"schema": "lockjam/run/v1", "scenarios": [{"arms": [{"folder": "../x"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRun("run", "run/run.json", data)
		switch {
		case err != nil && (!errors.Is(err, result.ErrUsage) || strings.ContainsAny(err.Error(), "\n\r\x1b")):
			t.Errorf("%q", err)
		case err == nil:
			for _, sc := range r.Scenarios {
				for _, a := range sc.Arms {
					if !filepath.IsLocal(a.Folder) {
						t.Errorf("%q lies outside", a.Folder)
					}
				}
			}
		}
	})
}
