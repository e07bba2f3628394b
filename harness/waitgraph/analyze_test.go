package waitgraph

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// expiring sets the end of all units held by these processes.
func (k *sketch) expiring(at time.Duration, names ...string) *sketch {
	for _, p := range k.s.Processes {
		if slices.Contains(names, p.Name) {
			for i := range p.Holds {
				p.Holds[i].EndsAt = at
			}
		}
	}
	return k
}

// givingUp sets the end of every wait of these processes.
func (k *sketch) givingUp(at time.Duration, names ...string) *sketch {
	for _, p := range k.s.Processes {
		if slices.Contains(names, p.Name) {
			for i := range p.Waits {
				p.Waits[i].EndsAt = at
			}
		}
	}
	return k
}

func TestTransient(t *testing.T) {
	tests := []struct {
		name         string
		graph        *sketch
		kind         Kind
		first, clear float64 // ms; 0: none
		sentence     string
	}{
		{"one TTL is enough", abba().expiring(31*time.Second, "w1"), Transient, 31000, 31000,
			"Stuck temporarily: w1 holds lock A and waits for lock B; w2 holds lock B and waits for lock A; the " +
				"first part of this ends by itself at 31 s, when w1 loses lock A."},
		{"one acquire timeout is enough", abba().givingUp(12345*time.Millisecond, "w2"), Transient, 12345, 12345,
			"Stuck temporarily: w1 holds lock A and waits for lock B; w2 holds lock B and waits for lock A; the " +
				"first part of this ends by itself at 12.35 s, when w2 gives up waiting for lock A."},
		// w3 gives up first, which helps only w3.
		{"the first end does not clear it",
			abba().worker("w3", nil, of("A")).givingUp(12*time.Second, "w3").expiring(40*time.Second, "w2"),
			Transient, 12000, 40000, ""},
		// Two cycles that end independently.
		{"it clears with the last end that is needed", abba().with(lock("C")).with(lock("D")).
			worker("w3", of("C"), of("D")).worker("w4", of("D"), of("C")).
			expiring(20*time.Second, "w1").expiring(30*time.Second, "w2").expiring(25*time.Second, "w3"),
			Transient, 20000, 25000, ""},
		// A third worker that gives up does not free the other two.
		{"part of it ends by itself", abba().worker("w3", nil, of("A")).givingUp(12*time.Second, "w3"), Deadlock, 0, 0,
			"Deadlock: w1 holds lock A and waits for lock B; w2 holds lock B and waits for lock A."},
		{"an orphaned lock has a TTL", orphanedLock().expiring(15*time.Second, "crashed"), Transient, 15000, 15000, ""},
		// w3 gives up and would also have got its turn: it must release its slot only once.
		{"a worker that could finish in two ways",
			draw(slots(2), pool("p", 1)).worker("w1", of("server"), of("server", "server")).
				worker("w3", of("server"), of("p")).givingUp(12*time.Second, "w3"), Deadlock, 0, 0,
			"Deadlock: w1 holds 1 of 2 client slots and waits for 2 client slots."},
		// Slots do not expire, so only the locks' TTLs count; unlike in the case above, no worker
		// waits for the lock that expires first.
		{"a TTL of a lock without waiters", abba().with(lock("C")).add(Orphan, "crashed", of("C"), nil).
			expiring(12*time.Second, "crashed").expiring(20*time.Second, "w1"), Transient, 20000, 20000, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := still(tt.graph)
			if f.Kind != tt.kind || !f.Proved {
				t.Fatalf("%s (proved: %v), want %s: %v", f.Kind, f.Proved, tt.kind, f.Reasons)
			}
			value := func(p *float64) float64 {
				if p == nil {
					return 0
				}
				return *p
			}
			if value(f.FirstEndMS) != tt.first || value(f.ClearMS) != tt.clear {
				t.Errorf("first end %v ms, clear %v ms; want %v and %v", value(f.FirstEndMS), value(f.ClearMS),
					tt.first, tt.clear)
			}
			if tt.sentence != "" && f.Sentence != tt.sentence {
				t.Errorf("it says\n%s\nwant\n%s", f.Sentence, tt.sentence)
			}
		})
	}
}

// An actual deadlock is not proved when the evidence is insufficient.
func TestUnproved(t *testing.T) {
	quiet := Activity{Attempts: 100}
	change := func(f func(*Snapshot)) Snapshot {
		s := later(abba().s)
		f(&s)
		return s
	}
	tests := []struct {
		name string
		a, b Snapshot
		act  Activity
		want Kind
		why  string // a part of the reasons
	}{
		{"an interval that a timeout can explain", abba().s, change(func(s *Snapshot) { s.At = 11 * time.Second }),
			quiet,
			Unproved, "which a timeout of 1 s can explain"},
		// 1.5 s from completion to completion, but only 1 s from the completion of the first to the
		// start of the second.
		{"the second snapshot took long", abba().s, change(func(s *Snapshot) { s.Took = 500 * time.Millisecond }),
			quiet,
			Unproved, "which a timeout of 1 s can explain"},
		{"the snapshots overlap", abba().s, change(func(s *Snapshot) { s.Took = 2 * time.Second }), quiet,
			Unproved, "began before the first was complete"},
		{"a release", abba().s, later(abba().s), Activity{Releases: 1}, Starvation, ""},
		{"a grant", abba().s, later(abba().s), Activity{Grants: 1}, Starvation, ""},
		// It released and reacquired A between the snapshots.
		{"a hold is a new one", abba().s,
			change(func(s *Snapshot) { s.Processes[0].Holds[0].Since = 10500 * time.Millisecond }), quiet,
			Unproved, "not with the same holds and waits"},
		{"a wait is a new one", abba().s,
			change(func(s *Snapshot) { s.Processes[0].Waits[0].Since = 10500 * time.Millisecond }), quiet,
			Unproved, "not with the same holds and waits"},
		{"a hold has another token", abba().s,
			change(func(s *Snapshot) { s.Processes[0].Holds[0].Token = "another" }), quiet,
			Unproved, "not with the same holds and waits"},
		{"one of them is new", draw(lock("A"), lock("B")).worker("w1", of("A"), of("B")).s, later(abba().s), quiet,
			Unproved, "not with the same holds and waits"},
		{"one of them died in between", abba().s, change(func(s *Snapshot) { s.Processes[0].Role = Orphan }), quiet,
			Unproved, "not with the same holds and waits"},
		{"a lock is held twice", abba().s, change(func(s *Snapshot) {
			s.Processes = append(s.Processes,
				Process{Name: "thief", Holds: []Edge{{Resource: 0, Units: 1, Since: began}}})
		}), quiet, Unproved, `the second snapshot contradicts itself: lock "A" is held 2 times`},
		{"a held lock is missing in Redis", abba().s, change(func(s *Snapshot) {
			c := Verify(*s, ServerState{Locks: map[string]string{"B": "w2"}})
			s.Check = &c
		}), quiet, Unproved, `the second snapshot: w1 claims lock "A", but Redis has no such key`},
		{"a TTL has passed and the lock is still there", abba().s, change(func(s *Snapshot) {
			s.Processes[0].Holds[0].EndsAt = 11 * time.Second
		}), quiet, Unproved, "w1 should have lost lock A at 11 s but did not"},
		{"an acquire timeout has passed and the wait continues", abba().s, change(func(s *Snapshot) {
			s.Processes[0].Waits[0].EndsAt = 11 * time.Second
		}), quiet, Unproved, "w1 should have given up waiting for lock B at 11 s but did not"},
		{"no attempts at a free lock", draw(lock("L")).worker("w", nil, of("L")).s,
			later(draw(lock("L")).worker("w", nil, of("L")).s), Activity{}, Unproved, "no worker tries"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Analyze(tt.a, tt.b, tt.act, thresholds)
			if f.Kind != tt.want || f.Proved {
				t.Errorf("%s (proved: %v), want %s: %s", f.Kind, f.Proved, tt.want, f.Sentence)
			}
			if why := strings.Join(f.Reasons, "\n"); !strings.Contains(why, tt.why) {
				t.Errorf("the reasons are %q, want one like %q", why, tt.why)
			}
		})
	}
}

// The order of processes, resources and edges in a snapshot has no meaning.
func TestOrderDoesNotMatter(t *testing.T) {
	a, b := slotLock(30).s, later(slotLock(30).s)
	slices.Reverse(b.Processes)
	n := len(b.Resources)
	slices.Reverse(b.Resources)
	for _, p := range b.Processes {
		slices.Reverse(p.Waits)
		for _, edges := range [][]Edge{p.Holds, p.Waits} {
			for i := range edges {
				edges[i].Resource = n - 1 - edges[i].Resource
			}
		}
	}
	if f := Analyze(a, b, Activity{}, thresholds); f.Kind != Deadlock || f.Residue.Workers != 80 {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// Workers that start to wait later neither invalidate the proof nor become part of it.
func TestNewcomers(t *testing.T) {
	b := later(slotLock(30).worker("newcomer", nil, of("server", "lock:0")).s)
	f := Analyze(slotLock(30).s, b, Activity{Attempts: 1}, thresholds)
	if f.Kind != Deadlock || f.Residue.Workers != 80 || f.Waiting != 81 {
		t.Errorf("%s, %d in the residue, %d waiting", f.Kind, f.Residue.Workers, f.Waiting)
	}
}

// More slots in one of the snapshots might have helped in the meantime.
func TestUnitsThatChange(t *testing.T) {
	for _, units := range [][2]int{{30, 31}, {31, 30}} {
		if f := Analyze(slotLock(units[0]).s, later(slotLock(units[1]).s), Activity{Attempts: 1},
			thresholds); f.Proved {
			t.Errorf("%d slots, then %d: %s", units[0], units[1], f.Sentence)
		}
	}
	// Lowering maxclients below the number of clients disconnects none of them.
	if f := still(slotLock(20)); f.Kind != Deadlock {
		t.Errorf("30 of 20 slots held: %s", f.Sentence)
	}
}

func TestProvableFrom(t *testing.T) {
	s := abba().s
	if f := Analyze(s, later(s), Activity{}, thresholds); f.ProvableFromMS == nil || *f.ProvableFromMS != 11000 {
		t.Errorf("provable from %v", f.ProvableFromMS)
	}
}

func TestChecked(t *testing.T) {
	s := abba().with(slots(1)).worker("w3", of("server"), nil).s
	seen := ServerState{Locks: map[string]string{"A": "w1", "B": "w2"}}
	half := Verify(s, seen)
	seen.Clients = map[string]int{"w3": 1}
	full := Verify(s, seen)
	for _, tt := range []struct {
		a, b *Check
		want bool
	}{{nil, nil, false}, {&full, nil, false}, {nil, &full, false}, {&full, &full, true}, {&half, &full, false},
		{&full, &half, false}} {
		a, b := s, later(s)
		a.Check, b.Check = tt.a, tt.b
		if f := Analyze(a, b, Activity{}, thresholds); f.Checked != tt.want || f.Kind != Deadlock {
			t.Errorf("%v %v: %s, checked: %v", tt.a, tt.b, f.Kind, f.Checked)
		}
	}
}

// queue is n workers that wait for a lock held by another.
func queue(n int, granted int64) Snapshot {
	k := draw(lock("L"), lock("M"), slots(30)).worker("owner", of("L"), nil).worker("other", of("M"), nil)
	for i := range n {
		k.worker(fmt.Sprintf("w%d", i), nil, of("L"))
	}
	k.s.Resources[0].Granted = granted
	return k.s
}

func TestStarvation(t *testing.T) {
	tests := []struct {
		name    string
		waiters int
		grants  int64 // of the lock, to others
		act     Activity
		starved bool
	}{
		// The figures in the comment of Thresholds.
		{"2 share a lock, 20 grants", 1, 20, Activity{Grants: 20}, false},
		{"2 share a lock, 21 grants", 1, 21, Activity{Grants: 21}, true},
		{"20 share a lock, 327 grants", 19, 327, Activity{Grants: 327}, false},
		{"20 share a lock, 328 grants", 19, 328, Activity{Grants: 328}, true},
		// Its holder works for a long time; grants of other locks are irrelevant.
		{"grants of another lock", 1, 0, Activity{Grants: 10000}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Analyze(queue(tt.waiters, 100), later(queue(tt.waiters, 100+tt.grants)), tt.act, thresholds)
			want := Slowness
			n := 0
			if tt.starved {
				want, n = Starvation, tt.waiters
			}
			if f.Kind != want || len(f.Starved) != n || f.Residue != nil {
				t.Errorf("%s, %d starved: %s", f.Kind, len(f.Starved), f.Sentence)
			}
		})
	}
}

// If grants are random, the rule calls a waiter starved with a probability below one in a million.
func TestStarvationChance(t *testing.T) {
	for _, tt := range []struct{ n, grants float64 }{{2, 21}, {20, 328}} {
		if p := tt.n * math.Pow(1-1/tt.n, tt.grants); p >= 1e-6 {
			t.Errorf("%v share, %v grants: %v", tt.n, tt.grants, p)
		}
		if p := tt.n * math.Pow(1-1/tt.n, tt.grants-1); p < 1e-6 {
			t.Errorf("%v share, %v grants: %v", tt.n, tt.grants-1, p)
		}
	}
}

// A worker that started to wait between the snapshots is not starved.
func TestStarvationOfNewcomers(t *testing.T) {
	b := later(queue(1, 1000))
	b.Processes[2].Waits[0].Since = 10500 * time.Millisecond
	if f := Analyze(queue(1, 0), b, Activity{Grants: 1000}, thresholds); f.Kind != Slowness {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
	// With an unknown start, the wait may be a new one.
	a := queue(1, 0)
	a.Processes[2].Waits[0].Since, b.Processes[2].Waits[0].Since = 0, 0
	if f := Analyze(a, b, Activity{Grants: 1000}, thresholds); f.Kind != Slowness {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// Grants of slots are not counted, so all grants count.
func TestStarvedOfASlot(t *testing.T) {
	shape := func() Snapshot {
		k := draw(slots(2), lock("L"), lock("M")).worker("unlucky", of("L"), of("server"))
		return k.worker("w1", of("server", "M"), nil).worker("w2", of("server"), of("M")).s
	}
	f := Analyze(shape(), later(shape()), Activity{Grants: 400, Releases: 400}, thresholds)
	const want = "400 grants within 1.5 s, yet unlucky was starved: it has waited 10.5 s for a client slot while " +
		"others got 400 grants."
	if f.Kind != Starvation || f.Sentence != want {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// Grants that use turns of another pool do not starve a worker that waits for a turn of this one.
func TestNotStarvedByOtherPools(t *testing.T) {
	shape := func(granted int64) Snapshot {
		k := draw(pool("p", 1), pool("q", 1), lock("L"), lock("M")).worker("waiter", of("L"), of("p"))
		s := k.worker("w1", of("p"), nil).worker("w2", of("q", "M"), nil).s
		s.Resources[0].Granted = granted
		return s
	}
	act := Activity{Grants: 400, Releases: 400}
	if f := Analyze(shape(0), later(shape(0)), act, thresholds); f.Kind != Slowness {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
	if f := Analyze(shape(0), later(shape(400)), act, thresholds); f.Kind != Starvation {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// Two workers are stuck while other locks are granted. Any grant means that the swarm as a whole is
// not deadlocked.
func TestStuckBesideGrants(t *testing.T) {
	shape := func() *sketch { return abba().with(lock("C")).worker("w3", of("C"), nil) }
	act := Activity{Grants: 50, Releases: 50}
	f := Analyze(shape().s, later(shape().s), act, thresholds)
	const want = "50 grants within 1.5 s, yet 2 workers are permanently stuck: w1 holds lock A and waits for lock " +
		"B; w2 holds lock B and waits for lock A."
	if f.Kind != Starvation || f.Proved || f.Residue.Workers != 2 || f.Sentence != want {
		t.Errorf("%s (proved: %v): %s", f.Kind, f.Proved, f.Sentence)
	}
	// A hold with an unknown start may be a different one in the second snapshot.
	b := later(shape().s)
	a := shape().s
	for _, s := range []Snapshot{a, b} {
		s.Processes[0].Holds[0].Since = 0
	}
	if f := Analyze(a, b, act, thresholds); f.Kind != Slowness {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
	// The interval is no longer than a timeout.
	b = shape().s
	b.At += 900 * time.Millisecond
	if f := Analyze(shape().s, b, act, thresholds); f.Kind != Slowness {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
	// A TTL will end the cycle.
	c := shape().expiring(20*time.Second, "w1").s
	if f := Analyze(c, later(c), act, thresholds); f.Kind != Slowness {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// A snapshot that contradicts itself is no evidence of starvation.
func TestContradictionsProveNoStarvation(t *testing.T) {
	b := later(queue(1, 1000))
	b.Processes[1].Holds = append(b.Processes[1].Holds, Edge{Resource: 0, Units: 1, Since: began})
	if f := Analyze(queue(1, 0), b, Activity{Grants: 1000}, thresholds); f.Kind != Slowness || f.Starved != nil {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// A worker whose resource disappeared has moved on.
func TestDisappearedResource(t *testing.T) {
	b := later(draw(lock("A"), lock("C")).worker("w1", of("A"), of("C")).worker("w2", of("C"), of("A")).s)
	if f := Analyze(abba().s, b, Activity{}, thresholds); f.Kind != Unproved {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

func TestSlowness(t *testing.T) {
	s := queue(5, 0)
	f := Analyze(s, later(queue(5, 3)), Activity{Grants: 3, Releases: 2, Attempts: 50}, thresholds)
	if want := "5 workers wait, but there were 3 grants and 2 releases within 1.5 s: the swarm makes " +
		"progress."; f.Kind != Slowness ||
		f.Sentence != want {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
	// The owner works for longer than any timeout: slow, not stuck.
	f = Analyze(s, later(s), Activity{Attempts: 50}, thresholds)
	if want := "5 workers wait, and nothing was granted or released for 1.5 s; the resources that they wait for " +
		"are held by processes that can proceed: owner (lock L)."; f.Kind != Slowness || f.Sentence != want {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// Workers that release a grant and start over are granted something all the time, yet make no
// progress.
func TestFutileReleases(t *testing.T) {
	s := queue(5, 0)
	vain := Activity{Grants: 90, Releases: 92, Attempts: 300, FutileReleases: 92}
	f := Analyze(s, later(queue(5, 3)), vain, thresholds)
	if want := "5 workers wait, and 90 grants within 1.5 s were futile: everything granted was released again, and " +
		"no request completed."; f.Kind != Livelock || f.Proved || f.Sentence != want {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
	few := Activity{Grants: 5, Releases: 5, FutileReleases: 5} // one release each: they may be about to complete
	if f := Analyze(s, later(queue(5, 3)), few, thresholds); f.Kind != Slowness {
		t.Errorf("once each: %s: %s", f.Kind, f.Sentence)
	}
	patient := thresholds
	patient.LongestTimeout = 2 * time.Second
	if f := Analyze(s, later(queue(5, 3)), vain, patient); f.Kind != Slowness {
		t.Errorf("for no longer than a timeout: %s: %s", f.Kind, f.Sentence)
	}
}

func TestValidate(t *testing.T) {
	edge := []Edge{{Resource: 0, Units: 1}}
	for why, s := range map[string]Snapshot{
		`lock "A" is listed twice`:    {Resources: []Resource{lock("A"), lock("A")}},
		`process "w" is listed twice`: {Processes: []Process{{Name: "w"}, {Name: "w"}}},
		`no resource has the index 0`: {Processes: []Process{{Holds: edge}}},
		`an edge has 0 units`: {Resources: []Resource{lock("A")},
			Processes: []Process{{Waits: []Edge{{}}}}},
		`negative offset`: {Resources: []Resource{lock("A")},
			Processes: []Process{{Waits: []Edge{{Units: 1, EndsAt: -1}}}}},
		`it waits twice for "A"`: {Resources: []Resource{lock("A")},
			Processes: []Process{{Waits: slices.Repeat(edge, 2)}}},
		`lock "A" is held 2 times`: {Resources: []Resource{lock("A")},
			Processes: []Process{{Holds: slices.Repeat(edge, 2)}}},
		`slot "s" has -1 units`:                      {Resources: []Resource{{Kind: Slot, Name: "s", Units: -1}}},
		`resource "s" has the unknown kind "mug"`:    {Resources: []Resource{{Kind: "mug", Name: "s"}}},
		`unknown role role(9)`:                       {Processes: []Process{{Role: 9}}},
		`the snapshot has a negative duration: -1ns`: {Took: -1},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %q", err, why)
		}
	}
}
