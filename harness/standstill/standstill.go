// Package standstill makes wait-for graphs of censuses and proves standstills by them. The judge
// and the live view share it.
package standstill

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// Proof is what the wait-for graph of a census says, compared with that of an
// earlier one.
type Proof struct {
	waitgraph.Analysis
	Before, Now history.Census
}

// Prover proves standstills of a swarm with these settings. It is pure.
type Prover struct {
	Scenario *scenario.Scenario // as the arm has it
	Ops      []history.Op       // in the order of their ends; the live view has none
}

// Prove compares every census with the newest one that is old enough: activity
// before that one does not count.
func (v Prover) Prove(taken []history.Census) []Proof {
	var all []Proof
	for i := 1; i < len(taken); i++ {
		all = append(all, v.At(taken, i))
	}
	return all
}

// At is the proof that census i, 1 and up, gives.
func (v Prover) At(taken []history.Census, i int) Proof {
	return v.proof(taken[Earlier(taken, i, v.Longest())], taken[i], waitgraph.DefaultThresholds(v.Longest()))
}

// Earlier is the newest census that was complete for longer than the longest timeout
// when census i, 1 and up, was begun; the first where none was.
func Earlier(taken []history.Census, i int, longest time.Duration) int {
	k := i - 1
	for k > 0 && taken[i].At-taken[i].Took-taken[k].At <= longest {
		k--
	}
	return k
}

// proof compares two censuses.
func (v Prover) proof(a, b history.Census, rules waitgraph.Thresholds) Proof {
	before, now := v.snapshots(a, b)
	act := Activity(a, b)
	if v.givesBack() && !v.anyEnded(a.At-a.Took, b.At) {
		act.FutileReleases = act.Releases
	}
	return Proof{Before: a, Now: b, Analysis: waitgraph.Analyze(before, now, act, rules)}
}

// givesBack reports whether requests may give a lock back and still want it: those that
// take two do, where they keep the first for so long only.
func (v Prover) givesBack() bool {
	l := v.Scenario.Swarm.Lock
	return (l.Pair == swarm.PairOrdered || l.Pair == swarm.PairOwnFirst) && l.PairWaitMS > 0
}

// anyEnded reports whether a request came to an end after from and not after to.
func (v Prover) anyEnded(from, to time.Duration) bool {
	return slices.ContainsFunc(v.Ops, func(op history.Op) bool {
		return op.Outcome != history.Unknown && op.Ended > from && op.Ended <= to
	})
}

// Activity is what the swarm did from one census to another, both included.
func Activity(a, b history.Census) waitgraph.Activity {
	return waitgraph.Activity{
		Grants:   b.After.Grants - a.Before.Grants,
		Releases: b.After.Releases - a.Before.Releases,
		Attempts: b.After.Attempts - a.Before.Attempts,
	}
}

// Decisive is the first proof of the incident; where there is none, what was found last,
// of slowness and livelock rather the latter. It is nil without two censuses.
func Decisive(proofs []Proof, incident history.Span) *Proof {
	var last *Proof
	for i := range proofs {
		p := &proofs[i]
		if incident.Holds(p.Before.At) && incident.Holds(p.Now.At) {
			if p.Proved {
				return p
			}
			// A livelock may be interrupted: one request that gets through does not end it.
			if last == nil || last.Kind != waitgraph.Livelock || p.Kind != waitgraph.Slowness {
				last = p
			}
		}
	}
	return last
}

// ForSignals is a proof as signals see it.
func (p *Proof) ForSignals() signals.Proof {
	f := signals.Proof{
		At: p.Now.At, Deadlock: p.Proved && p.Kind == waitgraph.Deadlock, Waiting: p.Waiting,
		Unknown: strings.Join(p.Foreign, ", "),
	}
	if p.ProvableFromMS != nil { // nothing moved
		f.Still = p.Now.At - p.Before.At
	}
	return f
}

// AllowedFrom is when the rules first allowed the proof that two censuses gave: the
// longest timeout after the last grant or release, and after the youngest of the
// edges that are the same in both.
func (v Prover) AllowedFrom(a, b history.Census) time.Duration {
	var latest time.Duration
	for _, op := range v.Ops {
		for _, t := range []time.Duration{Moved(op), op.Released} {
			if t <= b.At {
				latest = max(latest, t)
			}
		}
	}
	stood := make(map[int32]history.WorkerState, len(a.Workers))
	for _, w := range a.Workers {
		stood[w.Worker] = w
	}
	for _, w := range b.Workers {
		was := stood[w.Worker]
		if was.State != w.State || was.Since != w.Since {
			continue
		}
		latest = max(latest, w.Since)
		if w.Refused != "" && was.RefusedSince == w.RefusedSince {
			latest = max(latest, w.RefusedSince)
		}
		if w.Connected > 0 && was.Opened == w.Opened {
			latest = max(latest, w.Opened)
		}
	}
	return latest + v.Longest()
}

// Longest is the longest time that the swarm can stand still in and be sound, whatever
// the trigger does to it.
func (v Prover) Longest() time.Duration {
	return max(LongestTimeout(v.Scenario.Swarm), v.Scenario.Trigger.HoldMS.Duration())
}

// LongestTimeout is the longest time that a sound swarm with these settings can
// stand still in.
func LongestTimeout(s swarm.Settings) time.Duration {
	longest := max(s.RedialMS+s.RedialJitterMS, s.Client.DialTimeoutMS*swarm.Millis(max(s.Client.DialerRetries, 1)))
	for _, m := range []swarm.Millis{
		s.Client.ReadTimeoutMS, s.Client.WriteTimeoutMS, s.Client.PoolTimeoutMS,
		s.Client.MaxRetryBackoffMS, s.Lock.ReleaseTimeoutMS, s.Lock.PairGapMS, s.Lock.PairWaitMS, s.Lock.HoldMS,
		s.Lock.PollMS, s.Lock.BackoffMaxMS, s.Arrivals.ThinkMS + s.Arrivals.ThinkJitterMS,
	} {
		longest = max(longest, m)
	}
	return longest.Duration()
}

// snapshots draws the edges of two censuses, the first of which was complete before
// the second was begun.
func (v Prover) snapshots(a, b history.Census) (before, now waitgraph.Snapshot) {
	unaware := v.unaware(a, b)
	return v.snapshot(a, unaware), v.snapshot(b, unaware)
}

// unaware lists the workers that waited for a lock from one census to the other while
// Redis had it with their own token: the try that was granted was not answered. An
// answer that has not come within the read timeout will not come any more, for the
// client has hung up by then; where there is no such timeout it may. A worker
// that reads the token finds out.
func (v Prover) unaware(a, b history.Census) map[int32]bool {
	unaware := map[int32]bool{}
	timeout := v.Scenario.Swarm.Client.ReadTimeoutMS.Duration()
	if v.Scenario.Swarm.Lock.Verify || timeout <= 0 || b.At-b.Took-a.At <= timeout {
		return unaware
	}
	own := func(w history.WorkerState, c history.Census) bool {
		return w.State == swarm.Waiting.String() && w.Token != "" && c.Locks[w.Lock] == w.Token
	}
	was := make(map[int32]history.WorkerState, len(a.Workers))
	for _, w := range a.Workers {
		was[w.Worker] = w
	}
	for _, w := range b.Workers {
		if before := was[w.Worker]; own(w, b) && own(before, a) && before.Token == w.Token && before.Lock == w.Lock {
			unaware[w.Worker] = true
		}
	}
	return unaware
}

// snapshot draws the edges of a census. What it is not sure of it gives to an
// idler, which may let go at any moment: that can hide a deadlock, never feign one.
func (v Prover) snapshot(c history.Census, unaware map[int32]bool) waitgraph.Snapshot {
	d := drawing{of: v, index: map[resource]int{}, unaware: unaware, claimed: map[string]bool{},
		known: map[string]bool{}, latest: map[string]int64{}}
	d.g.At, d.g.Took = c.At, c.Took
	d.g.Resources = []waitgraph.Resource{{Kind: waitgraph.Slot, Name: "slots", Units: int(c.Slots)}}
	for _, w := range c.Workers {
		d.worker(w)
	}
	d.sharedSlots(c.Workers)
	for _, name := range slices.Sorted(maps.Keys(c.Locks)) {
		if !d.claimed[name] {
			d.ownerless(name, c.Locks[name], c.At)
		}
	}
	others := map[string]int64{} // connections of foreign clients, by name
	for _, f := range c.Foreign {
		d.foreigner(f)
		others[f.Name] += f.Connections
	}
	for _, name := range slices.Sorted(maps.Keys(c.Clients)) {
		switch n := int(c.Clients[name] - others[name]); {
		case d.known[name], n <= 0:
		case swarm.Leaks(name) && !v.reapsIdle():
			d.holder(name, n, waitgraph.Outsider)
		default:
			d.idler(name, n)
		}
	}
	if c.Error == "" {
		seen := waitgraph.ServerState{At: c.At, Locks: c.Locks, Clients: map[string]int{}}
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
	of      Prover
	g       waitgraph.Snapshot
	index   map[resource]int
	unaware map[int32]bool   // workers that wait for a lock that they have
	claimed map[string]bool  // locks that a living worker has
	known   map[string]bool  // names of clients, and "worker ID" of the living
	latest  map[string]int64 // the number of each living worker's request, by its ID; not of a worker between two
}

// resource is what a resource is known by; a lock and a pool may have one name.
type resource struct {
	kind waitgraph.ResourceKind
	name string
}

func (d *drawing) resource(r resource, units int) int {
	i, ok := d.index[r]
	if !ok {
		i = len(d.g.Resources)
		d.index[r] = i
		d.g.Resources = append(d.g.Resources, waitgraph.Resource{Kind: r.kind, Name: r.name, Units: units})
	}
	return i
}

func (d *drawing) lock(name string) int { return d.resource(resource{waitgraph.Lock, name}, 1) }

// turn is the pool of a client. A turn that a worker has for the length of one
// command is free here, for it comes back: that can hide a deadlock for as long
// as the command takes, and never feign one.
func (d *drawing) turn(client string) int {
	return d.resource(resource{waitgraph.Turn, client}, d.of.Scenario.Swarm.Client.PoolSize)
}

// worker draws what one living worker holds and waits for.
func (d *drawing) worker(w history.WorkerState) {
	p := waitgraph.Process{Name: fmt.Sprintf("worker %d", w.Worker)}
	if w.Refused != "" {
		p.Refused = &waitgraph.Refusal{Reply: w.Refused, Since: w.RefusedSince}
	}
	d.known[p.Name], d.known[w.Client] = true, true
	if owner, seq, ok := tokenOf(w.Token); ok {
		d.latest[owner] = seq
	}
	switch {
	case w.Shared && w.Kept:
		p.Holds = append(p.Holds, waitgraph.Edge{Resource: d.turn(w.Client), Units: 1, Since: w.KeptSince})
	case !w.Shared && w.Connected > 0:
		p.Holds = append(p.Holds, waitgraph.Edge{Resource: slots, Units: int(w.Connected), Since: w.Opened,
			Token: w.Client})
	}
	if w.Shared && w.Outer {
		p.Holds = append(p.Holds, waitgraph.Edge{Resource: d.turn(w.Client), Units: 1, Since: w.OuterSince})
	}
	if w.Other != "" {
		d.claimed[w.Other] = true
		p.Holds = append(p.Holds, waitgraph.Edge{Resource: d.lock(w.Other), Units: 1, Since: w.OtherSince,
			Token: w.Token, EndsAt: d.of.expires(w.OtherSince)})
	}
	switch w.State {
	case swarm.Waiting.String():
		p.Waits = d.goOn(w)
		if w.Lock != "" { // a decision without a lock waits for none
			lock := waitgraph.Edge{Resource: d.lock(w.Lock), Units: 1, Since: w.Since, Token: w.Token}
			p.Waits = append([]waitgraph.Edge{lock}, p.Waits...)
			if d.unaware[w.Worker] {
				d.claimed[w.Lock] = true
				lock.EndsAt = d.of.expires(w.Since)
				p.Holds = append(p.Holds, lock)
			}
		}
		for i := range p.Waits {
			p.Waits[i].EndsAt = d.of.gaveUp(w.Since)
		}
	case swarm.Holding.String(), swarm.Dialing.String():
		if w.Lock == "" {
			break
		}
		d.claimed[w.Lock] = true
		p.Holds = append(p.Holds, waitgraph.Edge{Resource: d.lock(w.Lock), Units: 1, Since: w.Since, Token: w.Token,
			EndsAt: d.of.expires(w.Since)})
		if w.State == swarm.Dialing.String() {
			p.Waits = d.goOn(w)
		}
	}
	d.g.Processes = append(d.g.Processes, p)
}

// goOn is what a worker needs before a command of its can succeed: one that waits
// for a lock to try for it, a holder whose commands fail to release it. Over a
// client of its own that is a slot of the server, unless it has one. Over a
// shared client it is a turn of the pool, unless it keeps one, and nothing else:
// the connection that comes with the turn may be there already, so that to draw
// a wait for a slot as well would be a claim that nothing backs. A worker that has a turn
// for the command that is under way is drawn as if it waited for one, which is
// then among those with no known holder.
func (d *drawing) goOn(w history.WorkerState) []waitgraph.Edge {
	switch {
	case w.Shared && !w.Kept:
		return []waitgraph.Edge{{Resource: d.turn(w.Client), Units: 1, Since: w.Since}}
	case !w.Shared && w.Connected == 0:
		return []waitgraph.Edge{{Resource: slots, Units: 1, Since: w.Since}}
	}
	return nil
}

// sharedSlots gives the connections of every shared client to an idler: they are
// shared by all users of the client, and may be closed at any moment. A turn that is
// kept has a connection, so there are as many of these as kept turns at least,
// and Redis must list just as many under the client's name: that is how Redis
// bears the turns out, of which it knows nothing itself.
func (d *drawing) sharedSlots(workers []history.WorkerState) {
	connected, kept := map[string]int{}, map[string]int{}
	for _, w := range workers {
		if !w.Shared {
			continue
		}
		connected[w.Client] = max(connected[w.Client], int(w.Connected))
		if w.Kept {
			kept[w.Client]++
		}
		if w.Outer {
			kept[w.Client]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(connected)) {
		if n := max(connected[name], kept[name]); n > 0 {
			d.idler(name, n)
		}
	}
}

// reapsIdle reports whether the server closes idle connections. Without
// that what is leaked is never given back.
func (v Prover) reapsIdle() bool {
	after := v.Scenario.Server.Config["timeout"]
	return after != "" && after != "0"
}

// idler draws connections that may be given back at any moment.
func (d *drawing) idler(client string, connections int) {
	d.holder(client, connections, waitgraph.Idler)
}

// foreigner draws the connections of a client that is not the swarm's.
func (d *drawing) foreigner(f history.Foreign) {
	d.g.Processes = append(d.g.Processes, waitgraph.Process{
		Name: f.String(), Role: waitgraph.Foreigner,
		Holds: []waitgraph.Edge{{Resource: slots, Units: int(f.Connections), Token: f.Name}},
	})
}

// holder draws connections of a client that no worker speaks for.
func (d *drawing) holder(client string, connections int, role waitgraph.Role) {
	d.g.Processes = append(d.g.Processes, waitgraph.Process{
		Name: "client " + client, Role: role,
		Holds: []waitgraph.Edge{{Resource: slots, Units: connections, Token: client}},
	})
}

// ownerless draws a lock that Redis has and no living worker says is its own.
// Its token names the worker that took it: if that one is gone, it is orphaned. If
// it is at a later request by now it has left the lock behind, and only the TTL
// gives it back: a worker releases with the token of its request and no other. If
// it is between two requests the answer may still be on its way to it, or lost.
func (d *drawing) ownerless(name, token string, at time.Duration) {
	owner, seq, _ := tokenOf(token)
	p := waitgraph.Process{Name: "crashed worker " + owner + " of " + name, Role: waitgraph.Orphan}
	switch {
	case !d.known["worker "+owner]:
	case d.latest[owner] > seq:
		p = waitgraph.Process{Name: fmt.Sprintf("worker %s in its request %d", owner, seq), Role: waitgraph.Outsider}
		at = d.of.taken(owner, name, at)
	default:
		p = waitgraph.Process{Name: "owner of " + name, Role: waitgraph.Idler}
	}
	p.Holds = []waitgraph.Edge{{Resource: d.lock(name), Units: 1, Token: token, EndsAt: d.of.expires(at)}}
	d.g.Processes = append(d.g.Processes, p)
}

// tokenOf reads the worker and the number of its request out of a lock's token.
func tokenOf(token string) (owner string, seq int64, ok bool) {
	owner, rest, _ := strings.Cut(token, ":")
	number, _, _ := strings.Cut(rest, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	return owner, seq, err == nil
}

// taken is when a worker was last granted a lock that it has not released. The grant
// is on record, for the request is over; without that it is as late as it can be.
func (v Prover) taken(owner, lock string, atLatest time.Duration) time.Duration {
	latest := history.Never
	for _, op := range v.Ops {
		if op.Ended > atLatest {
			break // they are in the order of their ends
		}
		if op.Granted != history.Never && op.Released == history.Never && fmt.Sprint(op.Worker) == owner &&
			strings.HasSuffix(lock, fmt.Sprint(":", op.Tenant)) {
			latest = op.Granted
		}
	}
	if latest == history.Never {
		return atLatest
	}
	return latest
}

// expires is when a lock that was taken at that time goes by itself; 0: never.
func (v Prover) expires(taken time.Duration) time.Duration {
	return after(taken, v.Scenario.Swarm.Lock.TTLMS)
}

// gaveUp is when a worker that has waited since then gives up; 0: never.
func (v Prover) gaveUp(since time.Duration) time.Duration {
	return after(since, v.Scenario.Swarm.Lock.AcquireTimeoutMS)
}

func after(at time.Duration, m swarm.Millis) time.Duration {
	if m == 0 {
		return 0
	}
	return at + m.Duration()
}

// Moved is when an operation got somewhere: its lock, or without one its result.
func Moved(op history.Op) time.Duration {
	if op.Granted == history.Never {
		return op.Worked
	}
	return op.Granted
}
