package observe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

// nothingLeft runs after a test that started servers: no goroutine, no folder.
// A go-redis pool that could not dial sleeps for up to a second before it
// notices that it was closed.
func nothingLeft(t *testing.T) {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		var leak error
		for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
			if leak = goleak.Find(before); leak == nil {
				break
			}
		}
		if leak != nil {
			t.Error(leak)
		}
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func needRedis(t *testing.T) {
	t.Helper()
	if _, err := process.Find(); err != nil {
		t.Skipf("this test needs a redis-server or valkey-server on PATH; scripts/setup.sh --tests installs one: %v",
			err)
	}
}

// startedElsewhere starts a server that no run has started, and stops it after the test.
func startedElsewhere(t *testing.T, start server.Starter, c server.Config) server.Server {
	t.Helper()
	ws, err := server.NewWorkspace("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t.Context(), server.Spec{Workspace: ws, Name: "elsewhere", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), ws.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}
