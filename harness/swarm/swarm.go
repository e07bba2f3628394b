// Package swarm is the load: service instances whose workers answer requests
// of a distributed rate limiter with go-redis, each decision under a lock in
// Redis. Everything that decides whether the limiter deadlocks is a setting.
package swarm

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// Config is what a swarm is made of.
type Config struct {
	Target   Target
	Settings Settings
	Prefix   string               // of every key, after the kind: lock:PREFIX:TENANT
	Name     string               // begins the name of every client in CLIENT LIST; "" is lockjam
	Seed     uint64               // every random choice of every worker follows from it
	Elapsed  func() time.Duration // since the run's one start
	Record   func(history.Op)     // called by many workers at once
	OnWork   func(worker int)     // called when a worker begins the work under its lock; may be nil
}

// Swarm is a set of running workers.
type Swarm struct {
	target   Target
	config   Config
	keys     []keys
	life     context.Context
	end      context.CancelFunc
	gate     gate
	dials    atomic.Int64
	clients  atomic.Int64 // made so far
	replies  replies
	crashes  *crashes
	severs   *crashes // holders that are to lose their connection, and live on
	slow     *slow
	arrivals *arrivals
	failed   chan error
	running  sync.WaitGroup // every goroutine, and a rollout that is under way

	mu        sync.Mutex
	settings  *Settings   // of the next instance; never changed, only replaced
	instances []*instance // by number; a rollout puts new ones in their places
	workers   []*worker   // the gone as well: what they counted stays counted
	staff     int         // workers of each instance, where that is more than its settings say
	rolling   bool
	stopped   bool
	begin     chan struct{} // closed once the workers that are being started may begin; see together
}

// instance is one deployed process: its clients, its workers, and the two ways
// to end it. Its workers are in s.workers, too.
type instance struct {
	number     int
	generation int             // how many ran in its place before it
	settings   *Settings       // shared with every instance that started with them
	life       context.Context // ends with the process: SIGKILL, or the end of the swarm
	kill       context.CancelCauseFunc
	term       context.Context // ends when the process is told to stop: SIGTERM
	terminate  context.CancelFunc
	clients    []*client // under Swarm.mu
	leaks      *client   // under Swarm.mu, as is what it has leaked; nil: nothing
	leaked     []connection
	working    sync.WaitGroup
}

// Start runs the settings' instances and returns at once. Stop ends them; so
// does the end of ctx.
func Start(ctx context.Context, c Config) *Swarm {
	s := &Swarm{settings: &c.Settings, target: c.Target, config: c, arrivals: newArrivals(c.Settings),
		failed: make(chan error, 1)}
	s.life, s.end = context.WithCancel(ctx)
	s.crashes, s.severs = newCrashes(c.Settings.Lock.Tenants), newCrashes(c.Settings.Lock.Tenants)
	s.replies.secret = c.Target.Password
	s.slow = &slow{once: newCrashes(c.Settings.Lock.Tenants)}
	for t := range int32(c.Settings.Lock.Tenants) {
		s.keys = append(s.keys, c.Target.keys(c.Prefix, t))
	}
	if s.arrivals.queue != nil {
		rng := rand.New(rand.NewPCG(c.Seed, 0))
		s.running.Go(func() { s.arrivals.generate(s.life, rng, c.Elapsed) })
	}
	s.Scale(c.Settings.Instances)
	return s
}

// Scale adds instances until there are n, as an autoscaler does. It takes none
// away.
func (s *Swarm) Scale(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.together()()
	for number := len(s.instances); number < n; number++ {
		s.instances = append(s.instances, nil)
		s.startInstance(number, 0)
	}
}

// together holds back the workers that are started from now on until begin is called: all
// of them begin at one moment. Thousands that worked already would leave the goroutine that
// starts the others little time: the start of 10,000 took a minute. It needs s.mu.
func (s *Swarm) together() (begin func()) {
	s.begin = make(chan struct{})
	return func() { close(s.begin) }
}

// startInstance starts an instance with the settings in force, in its place of
// s.instances. It needs s.mu.
func (s *Swarm) startInstance(number, generation int) {
	in := &instance{number: number, generation: generation, settings: s.settings}
	in.life, in.kill = context.WithCancelCause(s.life)
	in.term, in.terminate = context.WithCancel(in.life)
	s.instances[number] = in
	for i := range in.settings.ClientsPerInstance {
		name := s.name("%d-%d", number, i)
		if generation > 0 {
			name += fmt.Sprintf("-g%d", generation)
		}
		in.clients = append(in.clients, s.newClient(name, &in.settings.Client, in.life))
	}
	for i := range max(in.settings.WorkersPerInstance, s.staff) {
		s.startWorker(in, in.clients[i%len(in.clients)], number*in.settings.WorkersPerInstance+i)
	}
}

// name is that of a client in CLIENT LIST.
func (s *Swarm) name(format string, args ...any) string {
	return cmp.Or(s.config.Name, "lockjam") + "-" + fmt.Sprintf(format, args...)
}

// Staff has every instance run so many workers, over the clients that it has, as
// when the number of threads is raised. It takes none away.
func (s *Swarm) Staff(workers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.life.Err() != nil {
		return
	}
	defer s.together()()
	for _, in := range s.instances {
		shared := in.clients[:in.settings.ClientsPerInstance]
		for i := max(in.settings.WorkersPerInstance, s.staff); i < workers; i++ {
			s.startWorker(in, shared[i%len(shared)], in.number*in.settings.WorkersPerInstance+i)
		}
	}
	s.staff = max(s.staff, workers)
}

// startWorker needs s.mu, and to be called between together and its begin.
func (s *Swarm) startWorker(in *instance, c *client, place int) {
	id := len(s.workers) + 1
	w := &worker{
		id: id, place: place, late: s.arrivals.late(id), settings: in.settings, keys: s.keys,
		rng:     rand.New(rand.NewPCG(s.config.Seed, uint64(id))),
		elapsed: s.config.Elapsed, record: s.config.Record, hook: s.config.OnWork, crashes: s.crashes, severs: s.severs,
		slow: s.slow, term: in.term,
		owns: in.settings.WorkersPerInstance <= in.settings.ClientsPerInstance,
	}
	w.link = &link{client: c, tally: &w.tally, replies: &s.replies}
	s.workers = append(s.workers, w)
	in.working.Add(1)
	begin := s.begin
	s.running.Go(func() {
		defer in.working.Done()
		<-begin
		crashed, err := w.run(in.life, s.arrivals.next)
		if err != nil {
			s.fail(err)
		}
		if crashed && sleep(in.term, in.settings.ReplaceAfterMS.Duration()) {
			s.replace(in, w)
		}
	})
}

// replace starts a new worker in a crashed one's place. It knows nothing of
// the lock that the old one held.
func (s *Swarm) replace(in *instance, old *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.together()()
	c := old.link.client
	if old.owns {
		c = s.newClient(s.name("r%d", len(s.workers)+1), &in.settings.Client, in.life)
		in.clients = append(in.clients, c)
	}
	s.startWorker(in, c, old.place)
}

func (s *Swarm) fail(err error) {
	select {
	case s.failed <- err:
	default: // the first fault is the one to tell of
	}
}

// Failed delivers the first fault in a worker that is lockjam's own (a panic) or this
// machine's (no file descriptor is left to dial with). What Redis or the network does
// to a worker is data, never a fault.
func (s *Swarm) Failed() <-chan error { return s.failed }

// Shut lets no new connection through: dials are answered "connection
// refused", as by a server that is down. Open ends that. In between a
// restarted server's control connections are opened.
func (s *Swarm) Shut() { s.gate.shut.Store(true) }

// Open lets connections through again.
func (s *Swarm) Open() { s.gate.shut.Store(false) }

// Snapshot adds up what the workers have counted and what each is doing now.
func (s *Swarm) Snapshot() history.Swarm {
	s.mu.Lock()
	workers := s.workers
	s.mu.Unlock()
	sum := history.Swarm{Dials: s.dials.Load(), Dropped: s.arrivals.dropped.Load(), Replies: s.replies.counted()}
	now := s.config.Elapsed()
	for _, w := range workers {
		w.tally.addTo(&sum)
		st := w.standing()
		if st.state != Idle && st.state != Gone {
			sum.Oldest = max(sum.Oldest, now-st.intended)
		}
		switch st.state {
		case Idle:
			sum.Idle++
		case Waiting:
			sum.Waiting++
		case Holding:
			sum.Holding++
		case Dialing:
			sum.Dialing++
		}
	}
	sum.Workers = sum.Idle + sum.Waiting + sum.Holding + sum.Dialing
	return sum
}

// Census lists what every living worker is doing. What Redis says to it is for
// the caller to add.
func (s *Swarm) Census() []history.WorkerState {
	s.mu.Lock()
	workers := s.workers
	s.mu.Unlock()
	all := make([]history.WorkerState, 0, len(workers))
	for _, w := range workers {
		st := w.standing()
		if st.state == Gone {
			continue
		}
		c := w.link.client
		stance := history.WorkerState{
			Worker: int32(w.id), State: st.state.String(), Since: st.since, Client: c.name, Shared: !w.owns,
			Connected: c.dial.open.Load(), Opened: time.Duration(c.dial.opened.Load()),
		}
		if since := w.link.keptSince.Load(); since != 0 {
			stance.Kept, stance.KeptSince = true, time.Duration(since)
		}
		if since := w.link.outerSince.Load(); since != 0 {
			stance.Outer, stance.OuterSince = true, time.Duration(since)
		}
		// A holder at work is not kept from it by what its renewals are answered.
		if r := w.link.refused.Load(); r != nil && (st.state == Waiting || st.state == Dialing) {
			stance.Refused, stance.RefusedSince = r.reply, r.since
		}
		if st.state != Idle && w.settings.Limiter.locks() {
			stance.Lock, stance.Token = s.keys[st.tenant].lock, st.token
			if st.other.held {
				stance.Other, stance.OtherSince = s.keys[st.other.tenant].lock, st.other.since
			}
		}
		all = append(all, stance)
	}
	return all
}

// Locks are the keys of all locks that the swarm uses on the server at the target's
// address.
func (s *Swarm) Locks() []string {
	var names []string
	for i, k := range s.keys {
		if s.target.shardOf(int32(i)) == 0 {
			names = append(names, k.lock)
		}
	}
	return names
}

// Stop cuts every worker off where it stands, records what was in flight as
// unknown, and closes all connections. Nothing of the swarm runs after it.
func (s *Swarm) Stop() {
	s.end()
	s.mu.Lock()
	s.stopped = true // no rollout begins once it may not be waited for any more
	s.mu.Unlock()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.instances {
		in.closeClients()
	}
}

// closeClients needs s.mu, and that no worker of the instance runs.
func (in *instance) closeClients() {
	for _, c := range in.clients {
		c.lib.close()
	}
}
