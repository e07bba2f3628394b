package remedies

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a real incident to act on: a server, and what the harness would hand
// a remedy.
type bench struct {
	*testing.T
	Handle
	control *server.Control
	log     []string
	undo    []func(context.Context) error
}

func newBench(t *testing.T, c server.Config) *bench {
	t.Helper()
	ws, err := server.NewWorkspace("remedies-test")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t}
	b.Config = server.Config{"maxclients": "12", "save": `""`}.With(c)
	b.Pattern = "lock:*"
	b.Server, err = process.Start(t.Context(), server.Spec{Workspace: ws, Name: "redis", Config: b.Config})
	if errors.Is(err, server.ErrUnavailable) {
		t.Skipf("these tests need a redis-server or valkey-server on PATH; scripts/setup.sh --tests installs one: %v",
			err)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.open()
	b.Admin = func() *redis.Client { return b.control.Admin }
	b.Undo = func(back func(context.Context) error) { b.undo = append(b.undo, back) }
	b.Step = func(did, answer string) { b.log = append(b.log, did+": "+answer) }
	b.Restart = func(ctx context.Context, c server.Config) error {
		_ = b.control.Close()
		defer b.open()
		return b.Server.Restart(ctx, c)
	}
	t.Cleanup(func() {
		_ = b.control.Close()
		if err := errors.Join(b.Server.Stop(context.Background()), ws.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) open() {
	b.Helper()
	var err error
	if b.control, err = server.OpenControl(context.Background(), b.Server.Endpoint()); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) apply(name string, params map[string]string) error {
	b.Helper()
	r, ok := Find(name)
	if !ok {
		b.Fatalf("%s is not in the catalogue", name)
	}
	b.Params = r.Complete(params)
	b.log = nil
	return r.Apply(b.Context(), &b.Handle)
}

func (b *bench) fill() {
	b.Helper()
	for range 100 {
		c, err := net.Dial("tcp", b.Server.Endpoint().Addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
	b.Fatal("the server does not fill up")
}

func (b *bench) set(keys ...string) {
	b.Helper()
	for _, k := range keys {
		if err := b.control.Admin.Set(b.Context(), k, "token", 0).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

func (b *bench) count(keys ...string) int64 {
	return b.control.Admin.Exists(b.Context(), keys...).Val()
}

func (b *bench) maxclients() string {
	return b.control.Admin.ConfigGet(b.Context(), "maxclients").Val()["maxclients"]
}

func TestReleaseStaleLocksOverANewConnection(t *testing.T) {
	b := newBench(t, nil)
	b.set("lock:a", "lock:b", "other")
	if err := b.apply("release-stale-locks", nil); err != nil {
		t.Fatal(err)
	}
	if b.count("lock:a", "lock:b") != 0 || b.count("other") != 1 {
		t.Errorf("locks left %d, other keys left %d", b.count("lock:a", "lock:b"), b.count("other"))
	}
	if !strings.Contains(strings.Join(b.log, "\n"), "SCAN MATCH lock:*: 2 keys") {
		t.Errorf("log: %q", b.log)
	}
	if err := b.apply("release-stale-locks", nil); err != nil {
		t.Errorf("with nothing to delete: %v", err)
	}
}

// On a full server the runbook's command gets no connection, and the log says
// what the server answered.
func TestReleaseStaleLocksAtAFullServer(t *testing.T) {
	b := newBench(t, nil)
	b.set("lock:a")
	b.fill()
	err := b.apply("release-stale-locks", map[string]string{"try_for_ms": "300"})
	if !errors.Is(err, ErrBlocked) || !strings.Contains(err.Error(), "-ERR max number of clients reached") {
		t.Errorf("%v; want blocked, with the server's words", err)
	}
	if b.count("lock:a") != 1 {
		t.Error("the lock is gone all the same")
	}
	if err := b.apply("release-stale-locks", map[string]string{"connection": "control"}); err != nil ||
		b.count("lock:a") != 0 {
		t.Errorf("over a control connection: %v, %d locks left", err, b.count("lock:a"))
	}
}

// An operator who sees nothing get better runs the command again. What it does not
// get rid of, because it comes back, is deleted every time.
func TestReleaseStaleLocksAgain(t *testing.T) {
	b := newBench(t, nil)
	b.set("lock:a")
	steps := 0
	b.Step = func(did, answer string) {
		if strings.HasPrefix(did, "DEL") && answer == "1 deleted" {
			steps++
			b.set("lock:a")
		}
	}
	if err := b.apply("release-stale-locks", map[string]string{"times": "3", "pause_ms": "1"}); err != nil ||
		steps != 3 {
		t.Errorf("%v, deleted %d times, want 3", err, steps)
	}
}

func TestReleaseStaleLocksFindsManyKeys(t *testing.T) {
	b := newBench(t, nil)
	var keys []string
	for i := range 3000 {
		keys = append(keys, "lock:"+strconv.Itoa(i))
	}
	b.set(keys...)
	if err := b.apply("release-stale-locks", nil); err != nil || b.count(keys...) != 0 {
		t.Errorf("%v, %d of 3000 left", err, b.count(keys...))
	}
}

func TestRaiseMaxclientsLive(t *testing.T) {
	b := newBench(t, nil)
	b.fill()
	if err := b.apply("raise-maxclients-live", map[string]string{"maxclients": "100"}); err != nil ||
		b.maxclients() != "100" {
		t.Errorf("%v, maxclients %s", err, b.maxclients())
	}
	if len(b.undo) != 1 {
		t.Fatalf("%d ways back, want 1", len(b.undo))
	}
	if err := b.undo[0](t.Context()); err != nil || b.maxclients() != "12" {
		t.Errorf("undone: %v, maxclients %s, want 12", err, b.maxclients())
	}
	b.Reconfigurable = fmt.Errorf("%w: no", server.ErrNotOurs)
	err := b.apply("raise-maxclients-live", map[string]string{"maxclients": "200"})
	if !errors.Is(err, ErrBlocked) || !errors.Is(err, server.ErrNotOurs) || b.maxclients() != "12" || len(b.undo) != 1 {
		t.Errorf("somebody else's server: %v, maxclients %s", err, b.maxclients())
	}
}

// A managed service forbids CONFIG. What it answers is the reason.
func TestRaiseMaxclientsLiveWhereConfigIsForbidden(t *testing.T) {
	b := newBench(t, nil)
	if err := b.control.Admin.ACLSetUser(t.Context(), "default", "-config").Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.apply("raise-maxclients-live", nil); !errors.Is(err, ErrBlocked) ||
		!strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("%v; want blocked, with NOPERM", err)
	}
}

func TestRestarts(t *testing.T) {
	for _, c := range []struct {
		name, remedy string
		save         string
		maxclients   string
		locks        int64
	}{
		{"without persistence the locks are gone", "restart-server", `""`, "12", 0},
		{"with save points they come back", "restart-server", "3600 1", "12", 1},
		{"raised", "raise-maxclients-restart", `""`, "10000", 0},
		{"raised, and the locks come back", "raise-maxclients-restart", "3600 1", "10000", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, server.Config{"save": c.save})
			b.set("lock:a")
			if err := b.apply(c.remedy, nil); err != nil {
				t.Fatal(err)
			}
			if b.maxclients() != c.maxclients || b.count("lock:a") != c.locks {
				t.Errorf("maxclients %s, %d locks; want %s, %d", b.maxclients(), b.count("lock:a"), c.maxclients,
					c.locks)
			}
		})
	}
}

// A server that lockjam did not start is not restarted, and that blocks the remedy.
func TestRestartOfSomebodyElsesServer(t *testing.T) {
	b := newBench(t, nil)
	attached, err := server.Attach("redis://"+b.Server.Endpoint().Addr)(t.Context(), server.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	b.Restart = attached.Restart
	if err := b.apply("restart-server", nil); !errors.Is(err, ErrBlocked) || !errors.Is(err, server.ErrNotOurs) {
		t.Errorf("%v; want blocked: not ours", err)
	}
	_ = attached.Stop(t.Context())
}

func TestCatalogueIsSortedAndChecked(t *testing.T) {
	var names []string
	for _, r := range All() {
		names = append(names, r.Name)
		if r.Summary == "" || r.Apply == nil {
			t.Errorf("%s has no summary or does nothing", r.Name)
		}
		for _, p := range r.Params {
			if p.Check != nil && p.Check(p.Default) != nil {
				t.Errorf("%s: the default of %s is not allowed: %v", r.Name, p.Name, p.Check(p.Default))
			}
			if p.Check != nil && p.Check("nonsense") == nil {
				t.Errorf("%s: %s allows nonsense", r.Name, p.Name)
			}
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("not sorted: %v", names)
	}
}
