package swarm

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// silent keeps go-redis from logging failures that the tests make on purpose.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	code := m.Run()
	// A go-redis pool that could not dial sleeps for a second in a goroutine of
	// its own before it notices that it was closed.
	var leak error
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
		if leak = goleak.Find(); leak == nil {
			break
		}
	}
	if leak != nil && code == 0 {
		println(leak.Error())
		code = 1
	}
	os.Exit(code)
}

// bench is a real server with its control connections, and where a swarm finds it.
type bench struct {
	t       *testing.T
	server  server.Server
	control *server.Control
	target  Target
	begun   time.Time
	mu      sync.Mutex
	ops     []history.Op
}

func newBench(t *testing.T, maxclients int) *bench {
	t.Helper()
	return newBenchWith(t, server.Config{"maxclients": strconv.Itoa(maxclients)})
}

func newBenchWith(t *testing.T, c server.Config) *bench {
	t.Helper()
	ws, err := server.NewWorkspace("swarm-test")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, begun: time.Now()}
	b.server, err = process.Start(t.Context(),
		server.Spec{Workspace: ws, Name: "redis", Config: c.With(server.Config{"save": `""`})})
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
	b.target = Target{Addr: b.server.Endpoint().Addr}
	t.Cleanup(func() {
		_ = b.control.Close()
		if err := b.server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := ws.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) elapsed() time.Duration { return time.Since(b.begun) }

func (b *bench) start(s Settings) *Swarm { return b.startWith(s, nil) }

func (b *bench) startWith(s Settings, onWork func(int)) *Swarm {
	return Start(context.Background(), Config{
		Target: b.target, Settings: s, Prefix: "t", Seed: 1, Elapsed: b.elapsed, OnWork: onWork,
		Record: func(op history.Op) { b.mu.Lock(); b.ops = append(b.ops, op); b.mu.Unlock() },
	})
}

// fill takes every free slot and returns how many it took.
func (b *bench) fill() int {
	b.t.Helper()
	for n := 0; ; n++ {
		c, err := net.Dial("tcp", b.target.Addr)
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			return n
		}
		answer := make([]byte, 5)
		if _, err := c.Read(answer); err != nil || string(answer) != "+PONG" {
			return n
		}
	}
}

// oneLink is a link of a worker that is not running.
func (b *bench) oneLink(change func(*Settings)) *link {
	set := Defaults()
	set.Instances = 0
	if change != nil {
		change(&set)
	}
	s := b.start(set)
	l := &link{client: s.newClient("test", &set.Client, s.life), tally: &tally{}}
	b.t.Cleanup(func() {
		l.letGo()
		_ = l.client.lib.rdb.Close()
		s.Stop()
	})
	return l
}

// eventually waits for something that takes the server a moment.
func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	b.t.Fatalf("not within 10 s: %s", what)
}
