package triggers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a real server, and what the harness would hand a trigger.
type bench struct {
	*testing.T
	Handle
	server  server.Server
	control *server.Control
	mu      sync.Mutex
	notes   []string // under mu: what a trigger has begun notes beside it
	going   sync.WaitGroup
	end     context.CancelFunc
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ws, err := server.NewWorkspace("triggers-test")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t}
	b.server, err = process.Start(t.Context(),
		server.Spec{Workspace: ws, Name: "redis", Config: server.Config{"save": `""`}})
	if errors.Is(err, server.ErrUnavailable) {
		t.Skipf("these tests need a redis-server or valkey-server on PATH; scripts/setup.sh --tests installs one: %v",
			err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if b.control, err = server.OpenControl(t.Context(), b.server.Endpoint()); err != nil {
		t.Fatal(err)
	}
	during, end := context.WithCancel(context.Background())
	b.end = end
	b.Admin = func() *redis.Client { return b.control.Admin }
	b.Note = func(words string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.notes = append(b.notes, words)
	}
	b.Begin = func(what func(context.Context)) { b.going.Go(func() { what(during) }) }
	t.Cleanup(func() {
		end()
		b.going.Wait()
		_ = b.control.Close()
		if err := errors.Join(b.server.Stop(context.Background()), ws.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// fire returns what the trigger noted.
func (b *bench) fire(s Settings) string {
	b.Helper()
	t, ok := Find(s.Kind)
	if !ok {
		b.Fatalf("%s is not in the catalogue", s.Kind)
	}
	b.Settings = s
	if err := t.Fire(b.Context(), &b.Handle); err != nil {
		b.Fatal(err)
	}
	return strings.Join(b.noted(), "; ")
}

// noted is what has been noted so far.
func (b *bench) noted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.notes)
}

func (b *bench) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = nil
}

// ping is how long an answer takes, over a connection that is not the trigger's.
func (b *bench) ping() time.Duration {
	b.Helper()
	begun := time.Now()
	if err := b.control.Sampler.Ping(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

func TestPause(t *testing.T) {
	b := newBench(t)
	if note := b.fire(Settings{Kind: "pause", ForMS: 300}); note != "" {
		t.Fatal(note)
	}
	if took := b.ping(); took < 250*time.Millisecond {
		t.Errorf("an answer after %v in a pause of 300 ms", took)
	}
	if took := b.ping(); took > 200*time.Millisecond {
		t.Errorf("an answer after %v when the pause was over", took)
	}
}

// Scripts that are found to take as long as they should, on average, once the first
// few have shown how fast the machine is.
func TestSlowScript(t *testing.T) {
	b := newBench(t)
	if note := b.fire(Settings{Kind: "slow-script", ForMS: 1500, ScriptMS: 50}); note != "" {
		t.Fatal(note)
	}
	b.going.Wait()
	if notes := b.noted(); len(notes) > 0 {
		t.Fatal(notes)
	}
	calls, usec := 0, 0
	for line := range strings.Lines(b.control.Admin.Info(t.Context(), "commandstats").Val()) {
		_, _ = fmt.Sscanf(line, "cmdstat_evalsha:calls=%d,usec=%d", &calls, &usec)
	}
	// Fifty milliseconds each make thirty; where others keep the machine busy they take
	// longer.
	if calls < 3 || usec/max(calls, 1) < 25_000 || usec < 1_000_000 {
		t.Errorf("%d scripts took %d µs together", calls, usec)
	}
}

// What is left at the end of the incident phase is ended then.
func TestSlowScriptIsEnded(t *testing.T) {
	b := newBench(t)
	if note := b.fire(Settings{Kind: "slow-script", ForMS: 600_000, ScriptMS: 20}); note != "" {
		t.Fatal(note)
	}
	b.ping()
	b.end()
	b.going.Wait()
	if notes := b.noted(); len(notes) > 0 {
		t.Error(notes)
	}
}

// No server but the run's own is kept from its work.
func TestServersOfOthersAreSpared(t *testing.T) {
	b := newBench(t)
	b.Reconfigurable = server.ErrNotOurs
	for _, s := range []Settings{{Kind: "pause", ForMS: 60_000}, {Kind: "slow-script", ForMS: 60_000, ScriptMS: 1000}} {
		b.forget()
		if note := b.fire(s); !strings.Contains(note, server.ErrNotOurs.Error()) {
			t.Errorf("%s: %q", s.Kind, note)
		}
		if took := b.ping(); took > time.Second {
			t.Errorf("%s: an answer after %v", s.Kind, took)
		}
	}
}

// With leave to change the server its other applications are spared all the same.
func TestOtherApplicationsAreSpared(t *testing.T) {
	b := newBench(t)
	b.Ours = "lockjam-lj-1-"
	pause := Settings{Kind: "pause", ForMS: 200}
	if note := b.fire(pause); note != "" {
		t.Errorf("with no other client there: %q", note)
	}
	other, err := server.OpenRaw(t.Context(), b.server.Endpoint(), "lockjam-lj-2-0-0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	b.forget()
	if note := b.fire(pause); !strings.Contains(note, "clients of other applications are connected (1)") {
		t.Errorf("%q", note)
	}
}

// A restarted server has forgotten everybody. One that is not ours is left alone; and a
// restart that goes wrong ends the arm.
func TestRestart(t *testing.T) {
	b := newBench(t)
	var answer error
	restarts := 0
	b.Restart = func(context.Context) error { restarts++; return answer }
	if note := b.fire(Settings{Kind: "restart"}); note != "" || restarts != 1 {
		t.Errorf("%d restarts, %q", restarts, note)
	}
	answer = fmt.Errorf("restart: %w", server.ErrNotOurs)
	if note := b.fire(Settings{Kind: "restart"}); !strings.Contains(note, server.ErrNotOurs.Error()) {
		t.Errorf("%q", note)
	}
	answer = errors.New("it is gone")
	if err := restart.Fire(t.Context(), &b.Handle); !errors.Is(err, answer) {
		t.Errorf("%v", err)
	}
}

// A server that does not do as it is told makes the arm inconclusive.
func TestTriggersNoteWhatFails(t *testing.T) {
	b := newBench(t)
	if err := b.server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if note := b.fire(Settings{Kind: "pause", ForMS: 100}); !strings.Contains(note, "the server was not paused") {
		t.Errorf("%q", note)
	}
	b.forget()
	b.fire(Settings{Kind: "slow-script", ForMS: 100, ScriptMS: 10})
	b.going.Wait()
	if note := strings.Join(b.noted(), "; "); !strings.Contains(note, "the server was not kept busy") {
		t.Errorf("%q", note)
	}
}
