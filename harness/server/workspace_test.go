package server_test

import (
	"errors"
	"os"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// A workspace is not removed while a server in it runs.
func TestWorkspaceInUse(t *testing.T) {
	if _, err := process.Find(); err != nil {
		t.Skip(err)
	}
	w, err := server.NewWorkspace("in-use")
	if err != nil {
		t.Fatal(err)
	}
	s, err := process.Start(t.Context(), server.Spec{Workspace: w, Name: "in-use"})
	if err != nil {
		t.Fatal(err)
	}
	wantOneLine(t, w.Close(), w.Dir(), "not stopped", "in-use-")
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(w.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
	_, err = server.NewWorkspace("../escape")
	wantOneLine(t, err, "../escape")
}
