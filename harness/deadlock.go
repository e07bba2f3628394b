package harness

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// prove looks at every census of the incident for one that, with an earlier
// one, proves that the swarm stands still for good. It returns the first such
// finding, or the last one if none proves anything; false without two censuses.
func (j *judge) prove() (waitgraph.Finding, bool) {
	var taken []history.Census
	for _, c := range j.h.Census {
		if j.t.incident.holds(c.At) {
			taken = append(taken, c)
		}
	}
	rules := waitgraph.DefaultRules(longestTimeout(j.sc.Swarm))
	var last waitgraph.Finding
	for i := 1; i < len(taken); i++ {
		// The newest one that is old enough: anything that moved before it does not count.
		k := i - 1
		for k > 0 && taken[i].At-taken[i].Took-taken[k].At <= rules.LongestTimeout {
			k--
		}
		a, b := taken[k], taken[i]
		last = waitgraph.Judge(j.snapshot(a), j.snapshot(b), waitgraph.Activity{
			Grants:   b.After.Grants - a.Before.Grants,
			Releases: b.After.Releases - a.Before.Releases,
			Attempts: b.After.Attempts - a.Before.Attempts,
		}, rules)
		if last.Proved {
			return last, true
		}
	}
	return last, len(taken) > 1
}

// longestTimeout is the longest time that a sound swarm with these settings can
// stand still in.
func longestTimeout(s swarm.Settings) time.Duration {
	longest := max(s.RedialMS, s.Client.DialTimeoutMS*swarm.Millis(max(s.Client.DialerRetries, 1)))
	for _, m := range []swarm.Millis{
		s.Client.ReadTimeoutMS, s.Client.WriteTimeoutMS, s.Client.PoolTimeoutMS,
		s.Client.MaxRetryBackoffMS, s.Lock.HoldMS, s.Lock.PollMS, s.Lock.BackoffMaxMS, s.Arrivals.ThinkMS,
	} {
		longest = max(longest, m)
	}
	return longest.Duration()
}

// snapshot draws the edges of a census. What it is not sure of it gives to an
// idler, who may let go at any moment: that can hide a deadlock, never feign one.
func (j *judge) snapshot(c history.Census) waitgraph.Snapshot {
	d := drawing{judge: j, index: map[string]int{}, claimed: map[string]bool{}, known: map[string]bool{}}
	d.g.At, d.g.Took = c.At, c.Took
	d.g.Resources = []waitgraph.Resource{{Kind: waitgraph.Slot, Name: "slots", Units: int(c.Slots)}}
	for _, w := range c.Workers {
		d.worker(w)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Locks)) {
		if !d.claimed[name] {
			d.ownerless(name, c.Locks[name], c.At)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Clients)) {
		if !d.known[name] {
			d.g.Processes = append(d.g.Processes, waitgraph.Process{
				Name: "client " + name, Role: waitgraph.Idler,
				Holds: []waitgraph.Edge{{Resource: slots, Units: int(c.Clients[name]), Token: name}},
			})
		}
	}
	if c.Error == "" {
		seen := waitgraph.Seen{At: c.At, Locks: c.Locks, Clients: map[string]int{}}
		for name, n := range c.Clients {
			seen.Clients[name] = int(n)
		}
		check := waitgraph.Verify(d.g, seen)
		d.g.Check = &check
	}
	return d.g
}

// slots is the index of the server's client slots in every snapshot.
const slots = 0

// drawing is a snapshot that is being drawn.
type drawing struct {
	judge   *judge
	g       waitgraph.Snapshot
	index   map[string]int  // of locks
	claimed map[string]bool // locks that a living worker says it holds
	known   map[string]bool // names of clients, and "worker ID" of the living
}

func (d *drawing) lock(name string) int {
	i, ok := d.index[name]
	if !ok {
		i = len(d.g.Resources)
		d.index[name] = i
		d.g.Resources = append(d.g.Resources, waitgraph.Resource{Kind: waitgraph.Lock, Name: name, Units: 1})
	}
	return i
}

// worker draws what one living worker holds and waits for. Without a connection
// it waits for a slot as well.
func (d *drawing) worker(w history.Stance) {
	p := waitgraph.Process{Name: fmt.Sprintf("worker %d", w.Worker)}
	d.known[p.Name], d.known[w.Client] = true, true
	if w.Shared {
		p.Role = waitgraph.Idler // its connections are anybody's who has the same client
	}
	if w.Connected > 0 {
		p.Holds = append(p.Holds, waitgraph.Edge{Resource: slots, Units: int(w.Connected), Since: w.Opened, Token: w.Client})
	}
	slot := waitgraph.Edge{Resource: slots, Units: 1, Since: w.Since}
	switch w.State {
	case swarm.Waiting.String():
		slot.EndsAt = d.judge.gaveUp(w.Since)
		p.Waits = append(p.Waits, waitgraph.Edge{Resource: d.lock(w.Lock), Units: 1, Since: w.Since, Token: w.Token, EndsAt: slot.EndsAt})
		if w.Connected == 0 {
			p.Waits = append(p.Waits, slot)
		}
	case swarm.Holding.String(), swarm.Dialing.String():
		d.claimed[w.Lock] = true
		p.Holds = append(p.Holds, waitgraph.Edge{Resource: d.lock(w.Lock), Units: 1, Since: w.Since, Token: w.Token, EndsAt: d.judge.expires(w.Since)})
		if w.State == swarm.Dialing.String() {
			p.Waits = append(p.Waits, slot)
		}
	}
	d.g.Processes = append(d.g.Processes, p)
}

// ownerless draws a lock that Redis has and no living worker says is its own.
// Its token names the worker that took it: if that one is gone, it is orphaned.
func (d *drawing) ownerless(name, token string, at time.Duration) {
	owner, _, _ := strings.Cut(token, ":")
	p := waitgraph.Process{Name: "crashed worker " + owner + " of " + name, Role: waitgraph.Orphan}
	if d.known["worker "+owner] {
		p = waitgraph.Process{Name: "owner of " + name, Role: waitgraph.Idler}
	}
	p.Holds = []waitgraph.Edge{{Resource: d.lock(name), Units: 1, Token: token, EndsAt: d.judge.expires(at)}}
	d.g.Processes = append(d.g.Processes, p)
}

// expires is when a lock that was taken at that time goes by itself; 0: never.
func (j *judge) expires(taken time.Duration) time.Duration {
	return after(taken, j.sc.Swarm.Lock.TTLMS)
}

// gaveUp is when somebody who waits since then gives up; 0: never.
func (j *judge) gaveUp(since time.Duration) time.Duration {
	return after(since, j.sc.Swarm.Lock.AcquireTimeoutMS)
}

func after(at time.Duration, m swarm.Millis) time.Duration {
	if m == 0 {
		return 0
	}
	return at + m.Duration()
}
