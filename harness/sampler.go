package harness

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// sampleEvery is how often the server and the swarm are read.
const sampleEvery = 100 * time.Millisecond

// sampler reads the server over a control connection and the swarm in place.
// A server that does not answer does not hold the samples up: they come
// without the server's part until it does, since that is what an incident
// looks like from outside.
type sampler struct {
	elapsed func() time.Duration
	swarm   func() history.Swarm
	record  func(history.Sample)

	mu      sync.Mutex
	client  *redis.Client // nil while the server is being restarted
	samples []history.Sample
	asked   chan struct{} // closed when the query under way is answered; nil if there is none
	answer  reading
	queries sync.WaitGroup
	stolen  atomic.Int64 // ns, since the last sample

	census   func(*redis.Client) history.Census // taken with a sample, at most every censusEvery
	keep     func(history.Census)
	counting bool          // whether it is taken
	counted  time.Duration // when it was taken last
	lost     chan error    // the server went away, and not by our doing
}

// reading is one answer of the server.
type reading struct {
	server *history.Server
	took   time.Duration
	err    error
}

// use directs the sampler to another connection; nil stops its questions.
func (s *sampler) use(c *redis.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = c
}

// run samples until the context ends, then waits for the query under way. The
// owner of the connection closes it to cut that short.
func (s *sampler) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.watchClock(ctx) })
	defer wg.Wait()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s.now(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// A sleeper that asks for nap and is woken more than grace late was kept from
// running, and so was everything else in this process: by other programs, by a
// paused virtual machine, or by a swarm that is too large for the machine.
const (
	nap   = 5 * time.Millisecond
	grace = time.Millisecond
)

// watchClock adds up how late it is woken (as jHiccup does). Goodput that is
// lost while lockjam itself does not run says nothing about Redis.
func (s *sampler) watchClock(ctx context.Context) {
	for ctx.Err() == nil {
		begun := time.Now()
		time.Sleep(nap)
		if late := time.Since(begun) - nap; late > grace {
			s.stolen.Add(int64(late))
		}
	}
}

// now takes one sample.
func (s *sampler) now(ctx context.Context) history.Sample {
	r := s.ask(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	sample := history.Sample{Took: r.took, Stolen: time.Duration(s.stolen.Swap(0)), Server: r.server, Swarm: s.swarm(), At: s.elapsed()}
	if r.err != nil {
		sample.Error = r.err.Error()
	}
	s.samples = append(s.samples, sample)
	s.record(sample)
	return sample
}

// patience is how long a sample waits for the server's part. An answer that
// comes later is thrown away, but its connection is never given up: a new one
// would need a slot.
const patience = sampleEvery * 8 / 10

var errNoAnswer = errors.New("the server did not answer in time")

func (s *sampler) ask(ctx context.Context) reading {
	s.mu.Lock()
	if s.client == nil {
		s.mu.Unlock()
		return reading{err: errors.New("the server is being restarted")}
	}
	if s.asked == nil {
		s.asked = make(chan struct{})
		client, done := s.client, s.asked
		s.queries.Go(func() { s.query(client, done) })
	}
	asked := s.asked
	s.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-asked:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.answer
	case <-timer.C:
		return reading{took: patience, err: errNoAnswer}
	case <-ctx.Done():
		return reading{err: ctx.Err()}
	}
}

func (s *sampler) query(c *redis.Client, done chan struct{}) {
	begun := time.Now()
	server, err := readServer(context.Background(), c)
	took := time.Since(begun)
	// After the sample's part, over the same connection: it is late, not the sample.
	var census *history.Census
	if err == nil && s.due() {
		taken := s.census(c)
		census = &taken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if census != nil && s.counting { // the recorder may be closed once nobody counts any more
		s.keep(*census)
	}
	s.answer = reading{server: server, took: took, err: err}
	s.asked = nil
	close(done)
	// A control connection has no timeouts: unless we closed it ourselves, an
	// error that is not the server's own answer means that the server is gone.
	var answer redis.Error
	if err != nil && s.client == c && !errors.As(err, &answer) {
		select {
		case s.lost <- err:
		default:
		}
	}
}

// count begins or ends the taking of censuses. None is kept after it has ended.
func (s *sampler) count(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counting = on
}

// due says whether it is time for a census.
func (s *sampler) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.elapsed()
	if !s.counting || now-s.counted < censusEvery {
		return false
	}
	s.counted = now
	return true
}

// seen returns the samples so far.
func (s *sampler) seen() []history.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.samples[:len(s.samples):len(s.samples)]
}

// readServer asks for four sections of INFO, one by one: servers before Redis 7
// take a single section per command.
func readServer(ctx context.Context, c *redis.Client) (*history.Server, error) {
	info, err := readInfo(ctx, c, "server", "clients", "stats", "commandstats")
	if err != nil {
		return nil, err
	}
	n := func(field string) int64 {
		v, _ := strconv.ParseInt(info[field], 10, 64)
		return v
	}
	s := &history.Server{
		RunID: info["run_id"], Connected: n("connected_clients"), MaxClients: n("maxclients"),
		Rejected: n("rejected_connections"), Received: n("total_connections_received"), Commands: n("total_commands_processed"),
	}
	for field, value := range info {
		if name, ok := strings.CutPrefix(field, "cmdstat_"); ok && !ownCommand(name) {
			calls, usec := commandStat(value)
			s.Calls += calls
			s.CommandTime += time.Duration(usec) * time.Microsecond
		}
	}
	if s.MaxClients == 0 { // not in INFO clients before Redis 6.2
		limit, err := c.ConfigGet(ctx, "maxclients").Result()
		if err != nil {
			return nil, err
		}
		s.MaxClients, _ = strconv.ParseInt(limit["maxclients"], 10, 64)
	}
	return s, nil
}

func readInfo(ctx context.Context, c *redis.Client, sections ...string) (map[string]string, error) {
	answers, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, section := range sections {
			p.Info(ctx, section)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	info := map[string]string{}
	for _, a := range answers {
		for line := range strings.Lines(a.(*redis.StringCmd).Val()) {
			if field, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[field] = value
			}
		}
	}
	return info, nil
}

// ownCommand says whether a command is the harness's or belongs to a
// connection's handshake: it would dilute what the swarm's commands took.
func ownCommand(name string) bool {
	base, _, _ := strings.Cut(name, "|")
	switch base {
	case "info", "config", "client", "hello", "ping", "command", "auth", "select", "scan":
		return true
	}
	return false
}

// commandStat reads "calls=12,usec=34,usec_per_call=2.83,...".
func commandStat(value string) (calls, usec int64) {
	for part := range strings.SplitSeq(value, ",") {
		switch name, v, _ := strings.Cut(part, "="); name {
		case "calls":
			calls, _ = strconv.ParseInt(v, 10, 64)
		case "usec":
			usec, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	return calls, usec
}
