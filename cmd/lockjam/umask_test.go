//go:build unix

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The umask decides about the permissions of a run's files: with one that shares them
// with a group, and with one that does not.
func TestFilesHonourTheUmask(t *testing.T) {
	h := newHouse(t)
	for umask, want := range map[string]struct{ file, folder fs.FileMode }{"007": {0o660, 0o770},
		"077": {0o600, 0o700}} {
		out := filepath.Join(h.dir, "of-"+umask)
		run := func(args ...string) {
			t.Helper()
			lockjam := h.command(args...)
			cmd := exec.Command("/bin/sh",
				append([]string{"-c", "umask " + umask + `; exec "$0" "$@"`}, lockjam.Args...)...)
			cmd.Dir, cmd.Env = lockjam.Dir, lockjam.Env
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%q: %v\n%s", args, err, said)
			}
		}
		run("run", "short.yaml", "--server", "process", "--arm", "control", "--quiet", "--out", out)
		for _, format := range []string{"markdown", "html", "json", "junit"} {
			run("report", filepath.Join(out, "latest"), "--format", format, "--output",
				filepath.Join(out, "report."+format))
		}
		run("judge", filepath.Join(out, "latest"))
		run("new", "mine", "--output", filepath.Join(out, "mine.yaml"))
		files := 0
		err := filepath.WalkDir(out, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Type()&fs.ModeSymlink != 0 {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			expected := want.file
			if entry.IsDir() {
				expected = want.folder
			} else {
				files++
			}
			if info.Mode().Perm() != expected {
				t.Errorf("umask %s: %s has %v, want %v", umask, strings.TrimPrefix(path, out), info.Mode().Perm(),
					expected)
			}
			return nil
		})
		if err != nil || files < 12 {
			t.Errorf("umask %s: %d files, %v", umask, files, err)
		}
	}
}
