package swarm

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// Without jitter workers that failed together try again together; with it they spread.
func TestRedialJitter(t *testing.T) {
	wait := func(jitter Millis, id uint64) time.Duration {
		w := &worker{settings: &Settings{RedialMS: 20, RedialJitterMS: jitter}, rng: rand.New(rand.NewPCG(1, id))}
		return w.redial()
	}
	const last = 20*time.Millisecond + 300*time.Millisecond
	early, late := 0, 0
	for id := range uint64(1000) {
		if d := wait(0, id); d != 20*time.Millisecond {
			t.Fatalf("without jitter %v", d)
		}
		switch d := wait(300, id); {
		case d < 20*time.Millisecond || d >= last:
			t.Fatalf("with jitter %v", d)
		case d < 50*time.Millisecond:
			early++
		case d >= last-30*time.Millisecond:
			late++
		}
	}
	if early < 60 || early > 140 || late < 60 || late > 140 { // a tenth of them each
		t.Errorf("%d of 1000 in the first tenth, %d in the last", early, late)
	}
}

// A handshake keeps the server from everybody else, is made once for a connection, and
// a worker that cannot wait for it has nothing of it.
func TestHandshake(t *testing.T) {
	b := newBenchWith(t, server.Config{"maxclients": "32", "enable-debug-command": "yes"})
	set := Defaults()
	set.Client.HandshakeMS, set.Instances = 150, 0
	s := b.start(set)
	defer s.Stop()
	connect := func(o ClientOptions) *link {
		l := &link{client: s.newClient("test", &o, s.life), tally: &tally{}}
		t.Cleanup(func() { _ = l.client.lib.rdb.Close() })
		return l
	}
	patient := connect(set.Client)
	made := make(chan history.Class, 1)
	go func() { made <- patient.do(ping(context.Background())) }()
	longest := time.Duration(0)
	for len(made) == 0 {
		begun := time.Now()
		if err := b.control.Admin.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(begun))
	}
	if class := <-made; class != history.None || longest < 75*time.Millisecond {
		t.Errorf("%v; nobody else waited for more than %v", class, longest)
	}
	begun := time.Now()
	if class := patient.do(ping(t.Context())); class != history.None || time.Since(begun) > 100*time.Millisecond {
		t.Errorf("over a connection that stands: %v after %v", class, time.Since(begun))
	}
	set.Client.ReadTimeoutMS = 50
	if class := connect(set.Client).do(ping(t.Context())); class != history.Deadline {
		t.Errorf("who waits for less than it takes: %v", class)
	}
}
