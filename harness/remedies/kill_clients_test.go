package remedies

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
)

// client connects and says this, line by line; every line has one answer.
func (b *bench) client(lines ...string) net.Conn {
	b.Helper()
	c, err := net.Dial("tcp", b.Server.Endpoint().Addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	for _, line := range append(lines, "PING") {
		if line == "PING" && len(lines) > 0 && !strings.HasPrefix(lines[len(lines)-1], "CLIENT") {
			break // a subscriber may not ask, and a MONITOR is told its own words
		}
		if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
			b.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1024)); err != nil || n == 0 {
			b.Fatalf("%s: %v", line, err)
		}
	}
	return c
}

// cut tells whether the server has hung up.
func cut(c net.Conn) bool {
	for {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1024)); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

func (b *bench) wantCut(want bool, clients map[string]net.Conn) {
	b.Helper()
	for who, c := range clients {
		if got := cut(c); got != want {
			b.Errorf("%s: cut is %v", who, got)
		}
	}
}

func (b *bench) controlWorks() {
	b.Helper()
	if err := errors.Join(b.control.Admin.Ping(b.Context()).Err(),
		b.control.Sampler.Ping(b.Context()).Err()); err != nil {
		b.Error(err)
	}
	if list := b.control.Admin.ClientList(b.Context()).Val(); !strings.Contains(list, "lockjam-control-monitor") {
		b.Errorf("the monitor's connection is gone:\n%s", list)
	}
}

// A waiter for a lock is cut. A subscriber, a MONITOR and lockjam's own connections are not.
func TestKillAllClients(t *testing.T) {
	b := newBench(t, nil)
	victims := map[string]net.Conn{
		"a worker": b.client("CLIENT SETNAME lockjam-0-0"), "a replacement": b.client("CLIENT SETNAME lockjam-r7"),
		"somebody without a name": b.client(),
	}
	spared := map[string]net.Conn{
		"a subscriber": b.client("SUBSCRIBE news"), "a MONITOR": b.client("MONITOR"),
		"a lockjam that watches": b.client("CLIENT SETNAME lockjam-watch"),
	}
	b.fill() // with nameless ones, which go too
	if err := b.apply("kill-clients", nil); err != nil {
		t.Fatal(err)
	}
	b.wantCut(true, victims)
	b.wantCut(false, spared)
	b.controlWorks()
	b.logged(
		"CLIENT LIST: 12 clients: 6 may be killed, 4 are lockjam's own instruments, 2 are no normal clients",
		"CLIENT KILL ID for each of 6 clients, all that may be killed: ",
		": 6 killed (answered 1), 0 gone already (answered 0)",
	)
	if err := b.apply("kill-clients", nil); err != nil {
		t.Errorf("with nobody left: %v", err)
	}
	b.logged("there is none: nothing to kill")
}

func TestKillOldestWaiters(t *testing.T) {
	b := newBench(t, nil)
	oldest := map[string]net.Conn{"first": b.client(), "second": b.client()}
	later := map[string]net.Conn{"third": b.client(), "fourth": b.client()}
	if err := b.apply("kill-clients", map[string]string{"which": "oldest-waiters", "count": "2"}); err != nil {
		t.Fatal(err)
	}
	b.wantCut(true, oldest)
	b.wantCut(false, later)
	b.logged("2 clients, the 2 that have been connected longest", "2 killed")
}

func TestKillIdleClients(t *testing.T) {
	b := newBench(t, nil)
	idle := b.client("CLIENT SETNAME idle")
	busy := b.client("CLIENT SETNAME busy")
	for ; ; time.Sleep(50 * time.Millisecond) {
		if _, err := fmt.Fprint(busy, "PING\r\n"); err != nil {
			t.Fatal(err)
		}
		s := sortOut(b.control.Admin.ClientList(t.Context()).Val(), "")
		if i := slices.IndexFunc(s.mayBeKilled, func(c server.Client) bool { return c.Name == "idle" }); i < 0 ||
			s.mayBeKilled[i].Idle >= 2*time.Second {
			break
		}
	}
	if err := b.apply("kill-clients", map[string]string{"which": "idle", "idle_ms": "1500"}); err != nil {
		t.Fatal(err)
	}
	if !cut(idle) || cut(busy) {
		t.Errorf("log: %q", b.log)
	}
	b.logged("1 client, those that have been idle for 2 s or longer")
}

// On a server that lockjam did not start a client that does not say it is ours is not ours.
func TestKillClientsOfSomebodyElsesServer(t *testing.T) {
	b := newBench(t, nil)
	ours := map[string]net.Conn{"a worker": b.client("CLIENT SETNAME lockjam-lj-1-0-0")}
	theirs := map[string]net.Conn{
		"nameless": b.client(), "an application": b.client("CLIENT SETNAME app-1"),
		"a likeness":    b.client("CLIENT SETNAME my-lockjam-lj-1-0-0"),
		"another run's": b.client("CLIENT SETNAME lockjam-lj-2-0-0"),
	}
	b.Ours = "lockjam-lj-1-"
	if err := b.apply("kill-clients", nil); err != nil { // and Reconfigurable is nil: --allow-destructive
		t.Fatal(err)
	}
	b.wantCut(true, ours)
	b.wantCut(false, theirs)
	b.logged("4 belong to other applications")
	b.Reconfigurable = errors.New("not ours")
	if err := b.apply("kill-clients", map[string]string{"foreign": "kill"}); err != nil {
		t.Fatal(err)
	}
	b.wantCut(false, theirs) // the parameter alone is not enough
	b.Reconfigurable = nil
	if err := b.apply("kill-clients", map[string]string{"foreign": "kill"}); err != nil {
		t.Fatal(err)
	}
	b.wantCut(true, theirs)
}

// A managed service may forbid CLIENT, or a part of it.
func TestKillClientsWhereClientIsForbidden(t *testing.T) {
	for _, c := range []struct{ rule, step string }{
		{"-client", "CLIENT LIST: NOPERM"},
		{"-client|kill", "0 killed (answered 1), 0 gone already (answered 0); then NOPERM"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			b := newBench(t, nil)
			survivor := b.client("CLIENT SETNAME lockjam-0-0")
			b.forbid(c.rule)
			if err := b.apply("kill-clients", nil); !errors.Is(err, ErrBlocked) ||
				!strings.Contains(err.Error(), "NOPERM") {
				t.Errorf("%v; want blocked, with NOPERM", err)
			}
			b.logged(c.step)
			if cut(survivor) {
				t.Error("it was cut all the same")
			}
		})
	}
}

// leaver has a client leave between CLIENT LIST and CLIENT KILL.
type leaver struct{ leave func() }

func (leaver) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (leaver) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (l leaver) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		l.leave()
		return next(ctx, cmds)
	}
}

func TestKillClientsThatAreGoneAlready(t *testing.T) {
	b := newBench(t, nil)
	b.client("CLIENT SETNAME stays")
	b.client("CLIENT SETNAME leaves")
	b.control.Admin.AddHook(leaver{func() {
		for _, c := range sortOut(b.control.Sampler.ClientList(t.Context()).Val(), "").mayBeKilled {
			if c.Name == "leaves" {
				b.control.Sampler.ClientKillByFilter(t.Context(), "ID", fmt.Sprint(c.ID))
			}
		}
	}})
	if err := b.apply("kill-clients", nil); err != nil {
		t.Fatal(err)
	}
	b.logged("1 killed (answered 1), 1 gone already (answered 0)")
}

func TestSortOut(t *testing.T) {
	for _, c := range []struct {
		why, line string
		killed    bool
	}{
		{"a normal client", "id=5 addr=127.0.0.1:1 name= age=3 idle=0 flags=N db=0 cmd=set", true},
		{"it waits in BLPOP", "id=5 name=lockjam-0-0 age=3 idle=0 flags=b", true},
		{"it is in MULTI, and what it watches was changed", "id=5 name= age=3 idle=0 flags=xd", true},
		{"a replica", "id=5 name= age=3 idle=0 flags=S", false},
		{"the master", "id=5 name= age=3 idle=0 flags=M", false},
		{"a subscriber that is tracked", "id=5 name= age=3 idle=0 flags=tP", false},
		{"a MONITOR", "id=5 name= age=3 idle=0 flags=O", false},
		{"a letter of the future", "id=5 name= age=3 idle=0 flags=Z", false},
		{"the remedy's own connection", "id=5 name=lockjam-control-admin age=3 idle=0 flags=N", false},
		{"lockjam watch", "id=5 name=lockjam-watch-monitor age=3 idle=0 flags=N", false},
		{"no id to kill it by", "name= age=3 idle=0 flags=N", false},
		{"no flags to judge it by", "id=5 name= age=3 idle=0", false},
		{"an age that is no number", "id=5 name= age=old idle=0 flags=N", false},
	} {
		if got := sortOut(c.line+"\n", ""); len(got.mayBeKilled) == 1 != c.killed || got.total != 1 {
			t.Errorf("%s: %v", c.why, got)
		}
	}
	// Redis ends the list with an empty line where it is read as a verbatim string.
	if got := sortOut("\n", ""); got.total != 0 {
		t.Errorf("an empty line: %v", got)
	}
}
