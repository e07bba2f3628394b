package harness

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The run that README shows is judged again: a judge that comes to other
// verdicts on the same history has changed its mind, and must say so in
// CHANGELOG. A journal or scenario that it cannot read any more breaks the
// promise that recorded runs stay readable.
func TestReferenceRunIsJudgedAsBefore(t *testing.T) {
	const reference = "../results/reference"
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(reference)); err != nil {
		t.Fatal(err)
	}
	r, changed, err := Rejudge(folder)
	if err != nil || len(changed) > 0 {
		t.Fatalf("%v, changed: %v", err, changed)
	}
	if r.Outcome != Pass {
		t.Errorf("outcome %s", r.Outcome)
	}
	files, err := filepath.Glob(filepath.Join(reference, "*", "*", verdictFile))
	if err != nil || len(files) == 0 {
		t.Fatalf("no verdicts: %v", err)
	}
	for _, path := range append(files, filepath.Join(reference, runFile)) {
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
