package harness

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// slotLock is the deadlock of slots and locks, in small: two workers own both
// slots and wait for the lock, whose holder waits for a slot.
func slotLock(at time.Duration) history.Census {
	return history.Census{
		At: at, Took: time.Millisecond, Slots: 2,
		Workers: []history.Stance{
			{Worker: 1, State: "waiting", Lock: "lock:0", Token: "1:1:a", Since: 1100 * time.Millisecond, Client: "c1", Connected: 1, Opened: 500 * time.Millisecond},
			{Worker: 2, State: "waiting", Lock: "lock:0", Token: "2:1:b", Since: 1100 * time.Millisecond, Client: "c2", Connected: 1, Opened: 500 * time.Millisecond},
			{Worker: 3, State: "dialing", Lock: "lock:0", Token: "3:1:c", Since: 1200 * time.Millisecond, Client: "c3"},
		},
		Locks: map[string]string{"lock:0": "3:1:c"}, Clients: map[string]int64{"c1": 1, "c2": 1},
	}
}

func TestProofOfDeadlock(t *testing.T) {
	const late, later = 1500 * time.Millisecond, 2800 * time.Millisecond
	for _, c := range []struct {
		name   string
		census []history.Census
		change func(*judge)
		kind   waitgraph.Kind
		proved bool
	}{
		{"the same edges for longer than any timeout", []history.Census{slotLock(late), slotLock(later)}, nil, waitgraph.Deadlock, true},
		{"not for longer than the timeouts", []history.Census{slotLock(late), slotLock(late + 500*time.Millisecond)}, nil, waitgraph.Unproved, false},
		{"one census proves nothing", []history.Census{slotLock(late)}, nil, "", false},
		{"a slot is free", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			for i := range j.h.Census {
				j.h.Census[i].Slots = 3
				j.h.Census[i].After.Attempts = int64(100 * i)
			}
		}, waitgraph.Livelock, false},
		{"something was granted meanwhile", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			j.h.Census[1].After.Grants = 1
		}, waitgraph.Starvation, false},
		{"Redis says that the lock is another's", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			j.h.Census[1].Locks = map[string]string{"lock:0": "9:1:z"}
		}, waitgraph.Unproved, false},
		{"a TTL will break it", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			j.sc.Swarm.Lock.TTLMS = 30_000
		}, waitgraph.Transient, true},
		{"the holder is dead", []history.Census{slotLock(late), slotLock(later)}, func(j *judge) {
			for i := range j.h.Census {
				j.h.Census[i].Workers = j.h.Census[i].Workers[:2]
			}
		}, waitgraph.Orphaned, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(c.census...)
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
		})
	}
}

// found is the incident's proof, or what was found last.
func found(j *judge) waitgraph.Finding {
	j.proofs = j.prove()
	if p := j.proved(); p != nil {
		return p.Finding
	}
	return waitgraph.Finding{}
}

// judgeOf has an incident from 1 s to 3 s with these censuses.
func judgeOf(census ...history.Census) judge {
	sc, arm := testScenario()
	return judge{sc: sc, arm: arm, h: &history.History{Census: census}, t: timeline{incident: span{second, 3 * second}, trigger: second}}
}

// sharedPool is the deadlock of a pool with itself, in small: two workers keep
// both turns of the client that they share and wait for the lock, whose holder
// waits for a turn. A fourth one waits for the lock and has no turn yet.
func sharedPool(at time.Duration) history.Census {
	worker := func(id int32, state string, kept bool) history.Stance {
		w := history.Stance{
			Worker: id, State: state, Lock: "lock:0", Token: fmt.Sprintf("%d:1:a", id), Since: 1100 * time.Millisecond,
			Client: "c", Connected: 2, Opened: 500 * time.Millisecond, Shared: true,
		}
		if kept {
			w.Kept, w.KeptSince = true, 1050*time.Millisecond
		}
		return w
	}
	return history.Census{
		At: at, Took: time.Millisecond, Slots: 1000,
		Workers: []history.Stance{worker(1, "waiting", true), worker(2, "waiting", true), worker(3, "dialing", false), worker(4, "waiting", false)},
		Locks:   map[string]string{"lock:0": "3:1:a"}, Clients: map[string]int64{"c": 2},
	}
}

func TestProofOfPoolDeadlock(t *testing.T) {
	const sentence = `Deadlock: "worker 1" holds 1 of 2 turns of pool c and waits for lock lock:0; ` +
		`"worker 2" holds 1 of 2 turns of pool c and waits for lock lock:0; ` +
		`"worker 3" holds lock lock:0 and waits for a turn of pool c; "worker 4" waits for a turn of pool c and lock lock:0.`
	each := func(change func(*history.Census)) func(*judge) {
		return func(j *judge) {
			for i := range j.h.Census {
				change(&j.h.Census[i])
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*judge)
		kind   waitgraph.Kind
		proved bool
	}{
		{"every turn is with who waits for who waits for a turn", nil, waitgraph.Deadlock, true},
		// Nothing follows from how full the server is.
		{"on a full server as well", each(func(c *history.Census) { c.Slots = 2 }), waitgraph.Deadlock, true},
		{"a turn is free", func(j *judge) { j.sc.Swarm.Client.PoolSize = 3 }, waitgraph.Livelock, false},
		{"one waiter may have no turn", each(func(c *history.Census) { c.Workers[1].Kept = false }), waitgraph.Livelock, false},
		{"one turn was given back and taken again", func(j *judge) {
			j.h.Census[1].Workers[1].KeptSince = 2 * second
		}, waitgraph.Unproved, false},
		{"the holder began to wait anew", func(j *judge) { j.h.Census[1].Workers[2].Since = 2 * second }, waitgraph.Unproved, false},
		{"the holder is at work", each(func(c *history.Census) { c.Workers[2].State = "holding" }), waitgraph.Slowness, false},
		// A command of it failed, and since then it has a turn again.
		{"the holder has a turn", func(j *judge) {
			j.sc.Swarm.Client.PoolSize = 3
			each(func(c *history.Census) { c.Workers[2].Kept, c.Clients["c"] = true, 3 })(j)
		}, waitgraph.Slowness, false},
		{"the turns are another client's", each(func(c *history.Census) {
			c.Workers[2].Client, c.Clients["d"] = "d", 2
		}), waitgraph.Livelock, false},
		{"whoever waits gives up", func(j *judge) { j.sc.Swarm.Lock.AcquireTimeoutMS = 30_000 }, waitgraph.Transient, true},
		{"the pool's timeout may explain it", func(j *judge) { j.sc.Swarm.Client.PoolTimeoutMS = 2000 }, waitgraph.Unproved, false},
		{"the holder is dead", each(func(c *history.Census) { c.Workers = slices.Delete(slices.Clone(c.Workers), 2, 3) }), waitgraph.Orphaned, true},
		{"Redis lists fewer connections than there are turns kept", each(func(c *history.Census) { c.Clients["c"] = 1 }), waitgraph.Unproved, false},
		{"the client has fewer connections than there are turns kept", each(func(c *history.Census) {
			c.Clients["c"] = 1
			for i := range c.Workers {
				c.Workers[i].Connected = 1
			}
		}), waitgraph.Unproved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(sharedPool(1500*time.Millisecond), sharedPool(2800*time.Millisecond))
			j.sc.Swarm.Client.PoolSize = 2
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
			if c.kind != waitgraph.Deadlock {
				return
			}
			if r := f.Residue; f.Sentence != sentence || !f.Checked || r.Workers != 4 || r.Turns != 2 || r.Slots != 0 || r.Locks != 1 {
				t.Errorf("checked %v, residue %+v:\n%s\nwant\n%s", f.Checked, f.Residue, f.Sentence, sentence)
			}
		})
	}
}

// The circle may lead through two pools: each holder's turn is with somebody who
// waits for the other's lock.
func TestProofOfDeadlockOverTwoPools(t *testing.T) {
	census := func(at time.Duration) history.Census {
		c := sharedPool(at)
		c.Workers[1].Client, c.Workers[3].Client = "d", "d"
		c.Workers[0].Lock, c.Workers[3].Lock = "lock:1", "lock:1"
		c.Workers[3].State = "dialing"
		c.Locks["lock:1"] = "4:1:a"
		c.Clients = map[string]int64{"c": 1, "d": 1}
		for i := range c.Workers {
			c.Workers[i].Connected = 1
		}
		return c
	}
	j := judgeOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
	f := found(&j)
	if f.Kind != waitgraph.Deadlock || !f.Checked || f.Residue.Turns != 2 || f.Residue.Locks != 2 || f.Residue.Workers != 4 {
		t.Errorf("%s %v", f.Sentence, f.Reasons)
	}
}

// A holder whose commands fail over a connection that it has, as with a server
// that is out of memory, wants no slot: a free one would not help it.
func TestHolderWithAConnectionWantsNoSlot(t *testing.T) {
	census := func(at time.Duration) history.Census {
		c := slotLock(at)
		c.Slots, c.Workers[2].Connected, c.Clients["c3"] = 3, 1, 1
		return c
	}
	j := judgeOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
	if f := found(&j); f.Proved {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// What was not proved where a proof is expected fails the arm, and says why.
func TestProofIsAnExpectation(t *testing.T) {
	history := newLiteral().work(0, second, 200).sampled()
	history.Census = append(history.Census, slotLock(1500*time.Millisecond), slotLock(2800*time.Millisecond))
	sc, arm := testScenario()
	for kind, want := range map[string]Outcome{"deadlock": Pass, "": Pass, "orphaned": Fail} {
		sc.Incident.Kind = kind
		r := Judge(sc, arm, history)
		if r.Outcome != want || !r.Deadlock.Proved {
			t.Errorf("expected %q: %s %v %+v", kind, r.Outcome, r.Reasons, r.Deadlock)
		}
	}
	history.Census = nil
	sc.Incident.Kind = "deadlock"
	if r := Judge(sc, arm, history); r.Outcome != Fail {
		t.Errorf("without a census: %s %v", r.Outcome, fmt.Sprint(r.Reasons))
	}
}

// poolSettings are eight workers who share a client with a pool of four, keep their
// connections while they wait for a lock, and give them back to work under it.
func poolSettings() swarm.Settings {
	set := swarm.Defaults()
	set.WorkersPerInstance, set.Client.PoolSize, set.Client.PoolTimeoutMS = 8, 4, 100
	set.Waiter, set.Holder = swarm.WaiterKeeps, swarm.HolderReturns
	set.Lock.HoldMS = 15
	return set
}

// A real pool deadlocks with itself, at a server that is all but empty, and the
// censuses of the harness prove it.
func TestRealPoolDeadlockIsProved(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	ws, err := server.NewWorkspace("pool")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }()
	redis, err := server.StartProcess(t.Context(), server.Spec{Workspace: ws, Name: "redis", Config: server.Config{"maxclients": "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = redis.Stop(context.Background()) }()
	control, err := server.OpenControl(t.Context(), redis.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = control.Close() }()

	j := judgeOf()
	j.sc.Swarm, j.sc.Server.MaxClients = poolSettings(), 1000
	j.t.incident, j.t.trigger = span{0, time.Minute}, 0
	a := &armRun{sc: j.sc, started: time.Now()}
	a.swarm = swarm.Start(t.Context(), swarm.Config{
		Target: swarm.Target{Addr: redis.Endpoint().Addr}, Settings: j.sc.Swarm, Prefix: "t", Seed: 1,
		Elapsed: a.elapsed, Record: func(history.Op) {},
	})
	defer a.swarm.Stop()
	var f waitgraph.Finding
	for a.elapsed() < 10*time.Second && !f.Proved {
		time.Sleep(200 * time.Millisecond)
		j.h.Census = append(j.h.Census, a.census(t.Context(), control.Sampler))
		f = found(&j)
	}
	last := j.h.Census[len(j.h.Census)-1]
	if f.Kind != waitgraph.Deadlock || !f.Checked {
		t.Fatalf("%s: %s %v\n%+v", f.Kind, f.Sentence, f.Reasons, last)
	}
	if r := f.Residue; r.Workers != 8 || r.Turns != 4 || r.Locks != 1 || r.Slots != 0 || !strings.Contains(f.Sentence, "4 workers hold all 4 turns of pool lockjam-0-0 and wait for lock") {
		t.Errorf("%s %+v", f.Sentence, r)
	}
	if n := last.Clients["lockjam-0-0"]; n != 4 || len(last.Clients) != 1 || last.Slots < 990 {
		t.Errorf("%v of %d slots are taken, want the pool's four", last.Clients, last.Slots)
	}
	t.Logf("%s (%.0f ms after the start)", f.Sentence, f.AtMS)
}

// surged is one instance whose eight workers have a lock each and never wait, and
// that becomes eight instances, which makes eight who want each lock.
const surged = `
name: quick
title: A pool that is smaller than those who share it
server: {maxclients: 1000, config: {save: '""'}}
swarm:
  workers_per_instance: 8
  waiter: keeps-connection
  holder: returns-connection
  client: {pool_size: 4, pool_timeout_ms: 100}
  lock: {tenants: 8, hold_ms: 15, poll_ms: 5}
  arrivals: {tenant: by-worker, think_ms: 5}
trigger: {kind: surge, instances: 8}
phases: {baseline_ms: 500, incident_ms: 2000, recovery_ms: 1000}
incident: {for_ms: 500, kind: deadlock}
cure: {hold_ms: 500}
arms:
  - {name: control, remedy: none, expect: {verdict: no-effect}}
`

// More instances, each with room enough at the server, and none can go on.
func TestPoolDeadlockAfterASurge(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := quickOptions(t, "no-effect")
	sc, err := scenario.Parse("quick.yaml", []byte(surged), Known())
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	run, folder, err := RunSuite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	arm := run.Scenarios[0].Arms[0]
	if run.Outcome != Pass || arm.Deadlock == nil || !arm.Deadlock.Proved || !arm.Deadlock.Checked {
		t.Fatalf("%s %v %+v", run.Outcome, arm.Reasons, arm.Deadlock)
	}
	// All turns are kept by who waits. A lock may have come free when nobody had a turn
	// left to take it with.
	if d := arm.Deadlock; d.Residue.Slots != 0 || d.Residue.Turns != 32 || d.Residue.Locks == 0 || !strings.Contains(d.Sentence, "hold all 32 turns of 8 pools") {
		t.Errorf("%+v", d)
	}
	// Who kept a turn since when is in the recording.
	if _, changed, err := Rejudge(folder); err != nil || len(changed) > 0 {
		t.Errorf("judged again: %v, changed %v", err, changed)
	}
	h, err := history.Load(filepath.Join(folder, "quick", "control", historyFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range h.Samples {
		if s.Server != nil && s.Server.Connected > 50 {
			t.Fatalf("%d clients are connected, so that the server may have to do with it", s.Server.Connected)
		}
	}
	t.Logf("%s (%.0f ms after the surge)", arm.Deadlock.Sentence, arm.Deadlock.AfterMS)
}

// dice is a swarm of workers that share clients, run by dice: who moves next,
// and whether a command is lost, is chance. A move is as small as what a census
// can fall between.
type dice struct {
	rng      *rand.Rand
	set      swarm.Settings
	now      time.Duration
	workers  []*die
	free     []int // turns of each client's pool
	open     []int // connections of each client
	locks    map[string]string
	progress history.Progress
	cuts     bool // connections that are kept by who waits are cut as well
}

// die is one worker.
type die struct {
	history.Stance // as a census reads it
	client         int
	next           func(*dice, *die)
	keeps          bool // it sends over a connection of its own
	turn           bool // it has a turn of its pool, for a command or kept
	granted        bool
	commands       int // that the holder still has to send
	requests       int
}

func newDice(t *rapid.T) *dice {
	// Numbers that rapid draws lean to small ones, so it draws a seed only.
	s := &dice{rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), set: swarm.Defaults(), locks: map[string]string{}}
	s.set.Client.PoolSize = 1 + s.rng.IntN(4)
	s.set.Lock.Tenants = 1 + s.rng.IntN(3)
	s.set.Waiter = []swarm.Waiter{swarm.WaiterKeeps, swarm.WaiterKeeps, swarm.WaiterReturns}[s.rng.IntN(3)]
	s.set.Holder = []swarm.Holder{swarm.HolderReturns, swarm.HolderReturns, swarm.HolderKeeps}[s.rng.IntN(3)]
	clients := 1 + s.rng.IntN(3)
	s.open = make([]int, clients)
	s.free = slices.Repeat([]int{s.set.Client.PoolSize}, clients)
	for i := range 2 + s.rng.IntN(7) {
		w := &die{client: i % clients, next: (*dice).begin}
		w.Stance = history.Stance{Worker: int32(i + 1), State: "idle", Client: fmt.Sprint("c", w.client), Shared: true}
		s.workers = append(s.workers, w)
	}
	return s
}

func (s *dice) move() {
	s.now += time.Millisecond
	w := s.workers[s.rng.IntN(len(s.workers))]
	w.next(s, w)
}

func (s *dice) moves(n int) {
	for range n {
		s.move()
	}
}

// stand enters a state as a worker of the swarm does.
func (s *dice) stand(w *die, state string) {
	if w.State != state {
		w.State, w.Since = state, s.now
	}
}

func (s *dice) begin(w *die) {
	if s.rng.IntN(4) > 0 {
		return
	}
	w.requests++
	w.Lock = fmt.Sprint("lock:", s.rng.IntN(s.set.Lock.Tenants))
	w.Token = fmt.Sprintf("%d:%d:a", w.Worker, w.requests)
	w.granted, w.keeps = false, s.set.Waiter == swarm.WaiterKeeps
	s.stand(w, "waiting")
	w.next = (*dice).send
}

// send waits for a turn of the pool, until the pool's timeout.
func (s *dice) send(w *die) {
	switch {
	case w.turn:
	case s.free[w.client] > 0:
		s.free[w.client]--
		w.turn = true
		s.open[w.client] = max(s.open[w.client], s.set.Client.PoolSize-s.free[w.client])
	case s.rng.IntN(4) == 0:
		s.lost(w)
		return
	default:
		return
	}
	w.next = (*dice).serve
}

// serve is what Redis does. A command may be lost, and its connection with it. If
// that befalls one who waits and keeps its connection, it is help from outside
// for who wants the turn, and a census must not fall between the help and its
// being noticed: only Redis could tell that it is on its way.
func (s *dice) serve(w *die) {
	s.progress.Attempts++
	if s.rng.IntN(16) == 0 && (w.granted || !w.Kept || s.cuts) {
		s.open[w.client]--
		w.next = (*dice).lost
		if !w.granted {
			s.lost(w)
		}
		return
	}
	switch {
	case !w.granted && s.locks[w.Lock] == "":
		s.locks[w.Lock] = w.Token
		w.granted = true
		w.commands = 1 + s.rng.IntN(3)
	case w.granted && w.commands == 1:
		delete(s.locks, w.Lock)
	}
	w.next = (*dice).answered
}

func (s *dice) lost(w *die) {
	w.Kept, w.KeptSince = false, 0
	if w.granted {
		s.stand(w, "dialing")
	}
	w.next = (*dice).giveBack
}

// answered is a worker that hears of what Redis did.
func (s *dice) answered(w *die) {
	if w.keeps && !w.Kept {
		w.Kept, w.KeptSince = true, s.now
	}
	w.next = (*dice).send
	switch {
	case w.granted && w.State == "waiting":
		w.next = (*dice).hold
		if !w.keeps || s.set.Holder != swarm.HolderKeeps {
			s.letGo(w)
		}
		return
	case w.granted && w.commands == 1:
		w.commands = 0
		s.letGo(w)
		return
	case w.granted:
		w.commands--
		s.stand(w, "holding")
	}
	if !w.keeps {
		w.next = (*dice).giveBack
	}
}

// letGo says that the turn is not kept any more, before it is given back.
func (s *dice) letGo(w *die) {
	w.keeps = false
	w.Kept, w.KeptSince = false, 0
	w.next = (*dice).giveBack
}

// giveBack returns a turn to the pool.
func (s *dice) giveBack(w *die) {
	if w.turn {
		w.turn = false
		s.free[w.client]++
	}
	w.next = (*dice).send
	switch {
	case w.granted && w.State == "waiting":
		w.next = (*dice).hold
	case w.granted && w.commands == 0:
		s.progress.Releases++
		s.stand(w, "idle")
		w.next = (*dice).begin
	}
}

func (s *dice) hold(w *die) {
	s.progress.Grants++
	s.stand(w, "holding")
	w.next = (*dice).send
}

// census reads one thing after the other while the swarm goes on.
func (s *dice) census(between int) history.Census {
	pause := func() {
		s.moves(s.rng.IntN(between + 1))
	}
	begun := s.now
	c := history.Census{Before: s.progress, Slots: 1000, Workers: make([]history.Stance, len(s.workers))}
	for _, i := range s.rng.Perm(len(s.workers)) {
		w := s.workers[i].Stance
		pause()
		w.Kept, w.KeptSince = s.workers[i].Kept, s.workers[i].KeptSince
		w.Connected = int64(s.open[s.workers[i].client])
		if w.State == "idle" {
			w.Lock, w.Token = "", ""
		}
		c.Workers[i] = w
		pause()
	}
	c.Locks, c.Clients = maps.Clone(s.locks), map[string]int64{}
	for i, n := range s.open {
		c.Clients[fmt.Sprint("c", i)] = int64(n)
	}
	if s.rng.IntN(2) == 0 { // then there is nothing to hold it against
		c.Locks, c.Clients, c.Error = nil, nil, "no answer"
	}
	pause()
	c.After, c.At, c.Took = s.progress, s.now, s.now-begun
	return c
}

// Whoever is proved stuck never moves again, whichever two censuses prove it, torn
// as they are, and even if nobody counts what is granted; and a swarm that never
// moves again is proved stuck.
func TestPoolDeadlockIsNeverFeignedNorMissed(t *testing.T) {
	deadlocks, alive := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := newDice(t)
		j := judgeOf()
		j.sc.Swarm = s.set
		between := []int{0, 2, 20}[s.rng.IntN(3)]
		for range 20 {
			taken := make([]history.Census, 4)
			for i := range taken {
				s.moves(1 + s.rng.IntN(60))
				s.cuts = i < len(taken)-1 // help that comes after the last one was begun disproves nothing
				taken[i] = s.census(between)
			}
			s.moves(1000)
			for _, a := range taken[:len(taken)-1] {
				s.checkStuck(t, j, a, taken[len(taken)-1])
			}
		}
		s.moves(20_000)
		was := s.progress
		a := s.census(between)
		s.moves(5000)
		b := s.census(between)
		a.Error, b.Error = "", ""
		if s.progress.Grants != was.Grants || s.progress.Releases != was.Releases {
			alive++
			return
		}
		deadlocks++
		if a.Locks == nil || b.Locks == nil {
			a.Error, b.Error = "no answer", "no answer"
		}
		before, now := j.snapshots(a, b)
		f := waitgraph.Judge(before, now, waitgraph.Activity{Attempts: b.After.Attempts - a.Before.Attempts}, waitgraph.DefaultRules(0))
		if f.Kind != waitgraph.Deadlock || f.Residue.Workers != len(s.workers) {
			t.Fatalf("nothing moves, and the finding is %s %v\n%+v", f.Sentence, f.Reasons, b)
		}
	})
	if deadlocks == 0 || alive == 0 {
		t.Errorf("%d swarms came to a deadlock and %d did not: this test tests nothing", deadlocks, alive)
	}
}

// checkStuck fails if two censuses call somebody stuck who is elsewhere by now.
func (s *dice) checkStuck(t *rapid.T, j judge, a, b history.Census) {
	before, now := j.snapshots(a, b)
	counted := waitgraph.Activity{Grants: b.After.Grants - a.Before.Grants, Releases: b.After.Releases - a.Before.Releases}
	for _, act := range []waitgraph.Activity{counted, {}} {
		f := waitgraph.Judge(before, now, act, waitgraph.DefaultRules(0))
		if f.Proved && f.Kind != waitgraph.Deadlock {
			t.Fatalf("nobody died and nothing expires: %s", f.Sentence)
		}
		if f.Residue == nil || (!f.Proved && f.Kind != waitgraph.Starvation) {
			continue
		}
		for _, m := range f.Residue.Members {
			i := slices.IndexFunc(s.workers, func(w *die) bool { return fmt.Sprint("worker ", w.Worker) == m.Name })
			if is, said := s.workers[i].Stance, b.Workers[i]; is.State != said.State || is.Since != said.Since {
				t.Fatalf("%s was called stuck and moves: %s since %v became %s since %v; %s\n%+v\n%+v",
					m.Name, said.State, said.Since, is.State, is.Since, f.Sentence, a, b)
			}
		}
	}
}

// Who leaks connections never gives them back; a server that closes idle ones does
// it in their stead.
func TestProofOfExhaustion(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32) history.Stance {
			return history.Stance{Worker: id, State: "waiting", Since: 1100 * time.Millisecond, Client: fmt.Sprint("lockjam-", id, "-0")}
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 5, Workers: []history.Stance{worker(1), worker(2)},
			Locks: map[string]string{}, Clients: map[string]int64{"lockjam-1-leak": 3, "lockjam-2-leak": 2},
		}
	}
	const sentence = `Exhausted: "worker 1" waits for a client slot; "worker 2" waits for a client slot; ` +
		`"client lockjam-1-leak" never gives 3 of 5 client slots back; "client lockjam-2-leak" never gives 2 of 5 client slots back.`
	for _, c := range []struct {
		name   string
		change func(*judge)
		kind   waitgraph.Kind
	}{
		{"all slots are leaked", nil, waitgraph.Exhausted},
		{"the server closes idle connections", func(j *judge) { j.sc.Server.Config = map[string]string{"timeout": "1"} }, waitgraph.Slowness},
		{"or does not", func(j *judge) { j.sc.Server.Config = map[string]string{"timeout": "0"} }, waitgraph.Exhausted},
		{"one of them was closed", func(j *judge) { j.h.Census[1].Clients["lockjam-2-leak"] = 1 }, waitgraph.Livelock},
		{"somebody else has them", func(j *judge) {
			for i := range j.h.Census {
				j.h.Census[i].Clients = map[string]int64{"lockjam-1-leak": 3, "redis-cli": 2}
			}
		}, waitgraph.Slowness},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != (c.kind == waitgraph.Exhausted) {
				t.Errorf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Exhausted && (f.Sentence != sentence || !f.Checked) {
				t.Errorf("checked %v: %s", f.Checked, f.Sentence)
			}
		})
	}
}

// A lock whose owner is at a later request goes by its TTL, counted from its grant,
// and by nothing else.
func TestProofOfALockThatWasLeftBehind(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32, token string) history.Stance {
			return history.Stance{
				Worker: id, State: "waiting", Lock: "lock:t:0", Token: token, Since: 1100 * time.Millisecond,
				Client: fmt.Sprint("c", id), Connected: 1, Opened: 500 * time.Millisecond,
			}
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 30, Workers: []history.Stance{worker(1, "1:8:a"), worker(2, "2:3:b")},
			Locks: map[string]string{"lock:t:0": "1:7:c"}, Clients: map[string]int64{"c1": 1, "c2": 1},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*judge)
		kind   waitgraph.Kind
		clear  float64
	}{
		{"its TTL is known, and its grant", nil, waitgraph.Transient, 1000 + 3000},
		{"its grant is not on record", func(j *judge) { j.h.Ops = nil }, waitgraph.Transient, 2800 + 3000},
		{"it has no TTL", func(j *judge) { j.sc.Swarm.Lock.TTLMS = 0 }, waitgraph.Exhausted, 0},
		{"its owner has just been granted it", func(j *judge) {
			for i := range j.h.Census {
				j.h.Census[i].Locks = map[string]string{"lock:t:0": "1:9:c"}
			}
		}, waitgraph.Slowness, 0},
		{"its owner has no request in hand", func(j *judge) {
			for i := range j.h.Census {
				w := &j.h.Census[i].Workers[0]
				w.State, w.Lock, w.Token = "idle", "", ""
			}
		}, waitgraph.Slowness, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.sc.Swarm.Lock.TTLMS = 3000
			j.h.Ops = []history.Op{
				{Worker: 1, Granted: 600 * time.Millisecond, Released: 700 * time.Millisecond, Ended: 700 * time.Millisecond},
				{Worker: 2, Granted: 800 * time.Millisecond, Released: history.Never, Ended: 900 * time.Millisecond},
				{Worker: 1, Granted: second, Released: history.Never, Ended: 1090 * time.Millisecond},
			}
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != (c.kind != waitgraph.Slowness) {
				t.Fatalf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Transient && (*f.ClearMS != c.clear || !f.Checked || !strings.Contains(f.Sentence, `"worker 1 in its request 7" never gives lock lock:t:0 back`)) {
				t.Errorf("it is over at %v ms, want %v; checked %v: %s", *f.ClearMS, c.clear, f.Checked, f.Sentence)
			}
		})
	}
}

// lostReply is a worker that was granted its lock and does not know, and another one
// that waits for the same lock.
func lostReply(at time.Duration) history.Census {
	return history.Census{
		At: at, Took: time.Millisecond, Slots: 8,
		Workers: []history.Stance{
			{Worker: 1, State: "waiting", Lock: "lock:0", Token: "1:7:a", Since: 1100 * time.Millisecond, Client: "c1", Connected: 1, Opened: 1200 * time.Millisecond},
			{Worker: 2, State: "waiting", Lock: "lock:0", Token: "2:3:b", Since: 1150 * time.Millisecond, Client: "c2", Connected: 1, Opened: 1200 * time.Millisecond},
		},
		Locks: map[string]string{"lock:0": "1:7:a"}, Clients: map[string]int64{"c1": 1, "c2": 1},
	}
}

// Whose try was granted, and the answer lost, waits for himself.
func TestProofOfLostReply(t *testing.T) {
	const late, later = 1500 * time.Millisecond, 2800 * time.Millisecond
	for _, c := range []struct {
		name   string
		second time.Duration
		change func(*judge)
		kind   waitgraph.Kind
		proved bool
	}{
		{"for longer than an answer may take", later, nil, waitgraph.Deadlock, true},
		// The answer may still be on its way.
		{"for less", late + 900*time.Millisecond, nil, waitgraph.Unproved, false},
		{"where an answer may take for ever", later, func(j *judge) { j.sc.Swarm.Client.ReadTimeoutMS = -1 }, waitgraph.Unproved, false},
		// Who asks whose the lock is finds out.
		{"with a token check", later, func(j *judge) { j.sc.Swarm.Lock.Verify = true }, waitgraph.Unproved, false},
		{"until the TTL", later, func(j *judge) { j.sc.Swarm.Lock.TTLMS = 30_000 }, waitgraph.Transient, true},
		{"with another request's token", later, func(j *judge) { j.h.Census[1].Workers[0].Token = "1:8:a" }, waitgraph.Unproved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(lostReply(late), lostReply(c.second))
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Fatalf("%s, proved %v: %s %v; want %s, %v", f.Kind, f.Proved, f.Sentence, f.Reasons, c.kind, c.proved)
			}
			const sentence = `Deadlock: "worker 1" holds 1 of 8 client slots and lock lock:0 and waits for lock lock:0; ` +
				`"worker 2" holds 1 of 8 client slots and waits for lock lock:0.`
			if c.kind == waitgraph.Deadlock && (f.Sentence != sentence || !f.Checked) {
				t.Errorf("checked %v: %s", f.Checked, f.Sentence)
			}
		})
	}
}

// The turns of one pool alone can be a circle: who has one for its whole decision
// waits for a second.
func TestProofOfNestedCheckouts(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32, outer bool) history.Stance {
			w := history.Stance{
				Worker: id, State: "waiting", Since: 1100 * time.Millisecond,
				Client: "c", Connected: 2, Opened: 500 * time.Millisecond, Shared: true,
			}
			if outer {
				w.Outer, w.OuterSince = true, 1050*time.Millisecond
			}
			return w
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 1000,
			Workers: []history.Stance{worker(1, true), worker(2, true), worker(3, false)},
			Locks:   map[string]string{}, Clients: map[string]int64{"c": 2},
		}
	}
	each := func(change func(*history.Census)) func(*judge) {
		return func(j *judge) {
			for i := range j.h.Census {
				change(&j.h.Census[i])
			}
		}
	}
	const sentence = `Deadlock: "worker 1" holds 1 of 2 turns of pool c and waits for a turn of pool c; ` +
		`"worker 2" holds 1 of 2 turns of pool c and waits for a turn of pool c; "worker 3" waits for a turn of pool c.`
	for _, c := range []struct {
		name   string
		change func(*judge)
		kind   waitgraph.Kind
	}{
		{"every turn is an outer one", nil, waitgraph.Deadlock},
		{"a turn is free", func(j *judge) { j.sc.Swarm.Client.PoolSize = 3 }, waitgraph.Livelock},
		{"one of them is at work", each(func(c *history.Census) { c.Workers[0].State = "holding" }), waitgraph.Slowness},
		{"one of them has its second", func(j *judge) {
			j.sc.Swarm.Client.PoolSize = 3
			each(func(c *history.Census) {
				c.Workers[0].Kept, c.Workers[0].KeptSince, c.Clients["c"] = true, second, 3
				for i := range c.Workers {
					c.Workers[i].Connected = 3
				}
			})(j)
		}, waitgraph.Slowness},
		{"one was given back and taken again", func(j *judge) { j.h.Census[1].Workers[1].OuterSince = 2 * second }, waitgraph.Unproved},
		{"they give up", func(j *judge) { j.sc.Swarm.Lock.AcquireTimeoutMS = 30_000 }, waitgraph.Transient},
		{"Redis lists fewer connections", each(func(c *history.Census) { c.Clients["c"] = 1 }), waitgraph.Unproved},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.sc.Swarm.Client.PoolSize = 2
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != (c.kind == waitgraph.Deadlock || c.kind == waitgraph.Transient) {
				t.Errorf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Deadlock && (f.Sentence != sentence || !f.Checked || f.Residue.Turns != 2 || f.Residue.Locks != 0) {
				t.Errorf("checked %v, residue %+v: %s", f.Checked, f.Residue, f.Sentence)
			}
		})
	}
}

// Two locks in opposite orders are a circle of two, with no slot and no turn in it.
func TestProofOfAnInversion(t *testing.T) {
	census := func(at time.Duration) history.Census {
		worker := func(id int32, other, lock string) history.Stance {
			return history.Stance{
				Worker: id, State: "waiting", Lock: lock, Token: fmt.Sprintf("%d:1:a", id), Since: 1100 * time.Millisecond,
				Other: other, OtherSince: 1050 * time.Millisecond, Client: "c", Connected: 2, Opened: 500 * time.Millisecond, Shared: true,
			}
		}
		return history.Census{
			At: at, Took: time.Millisecond, Slots: 1000, Workers: []history.Stance{worker(1, "lock:t:0", "lock:t:1"), worker(2, "lock:t:1", "lock:t:0")},
			Locks: map[string]string{"lock:t:0": "1:1:a", "lock:t:1": "2:1:a"}, Clients: map[string]int64{"c": 2},
		}
	}
	each := func(change func(*history.Census)) func(*judge) {
		return func(j *judge) {
			for i := range j.h.Census {
				change(&j.h.Census[i])
			}
		}
	}
	const sentence = `Deadlock: "worker 1" holds lock lock:t:0 and waits for lock lock:t:1; "worker 2" holds lock lock:t:1 and waits for lock lock:t:0.`
	for _, c := range []struct {
		name   string
		change func(*judge)
		kind   waitgraph.Kind
		proved bool
	}{
		{"each holds what the other waits for", nil, waitgraph.Deadlock, true},
		{"both wait for the same", each(func(c *history.Census) {
			c.Workers[1].Other, c.Workers[1].Lock, c.Locks = "", "lock:t:0", map[string]string{"lock:t:0": "1:1:a"}
		}), waitgraph.Livelock, false},
		{"one let go and took it again", func(j *judge) { j.h.Census[1].Workers[0].OtherSince = 2 * second }, waitgraph.Unproved, false},
		{"one has both", each(func(c *history.Census) {
			c.Workers[0].State, c.Locks["lock:t:1"] = "holding", "1:1:a"
			c.Workers[1].Other = ""
		}), waitgraph.Slowness, false},
		{"they expire", func(j *judge) { j.sc.Swarm.Lock.TTLMS = 30_000 }, waitgraph.Transient, true},
		{"they let go after a while", func(j *judge) { j.sc.Swarm.Lock.PairWaitMS = 5000 }, waitgraph.Unproved, false},
		{"Redis says that one is another's", each(func(c *history.Census) { c.Locks["lock:t:0"] = "9:1:z" }), waitgraph.Unproved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeOf(census(1500*time.Millisecond), census(2800*time.Millisecond))
			j.sc.Swarm.Client.PoolSize = 2
			j.h.Census[1].After.Attempts = 100
			if c.change != nil {
				c.change(&j)
			}
			f := found(&j)
			if f.Kind != c.kind || f.Proved != c.proved {
				t.Errorf("%s, proved %v: %s %v", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
			if c.kind == waitgraph.Deadlock && (f.Sentence != sentence || !f.Checked || f.Residue.Slots != 0 || f.Residue.Turns != 0 || f.Residue.Locks != 2) {
				t.Errorf("checked %v, residue %+v: %s", f.Checked, f.Residue, f.Sentence)
			}
		})
	}
}
