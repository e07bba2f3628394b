package server_test

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startProcess starts a server in a workspace of its own, and stops it at the end of the test. It
// skips the test if no server is on PATH.
func startProcess(t *testing.T, name string, c server.Config) server.Server {
	t.Helper()
	if _, err := process.Find(); err != nil {
		t.Skip(err)
	}
	w, err := server.NewWorkspace("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := process.Start(t.Context(), server.Spec{Config: c, Workspace: w, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openControl opens a control that is closed at the end of the test.
func openControl(t *testing.T, s server.Server) *server.Control {
	t.Helper()
	control, err := server.OpenControl(t.Context(), s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := control.Close(); err != nil {
			t.Error(err)
		}
	})
	return control
}

// wantOneLine checks that an error is one line and contains all of the words.
func wantOneLine(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; it should say %q", words)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}
