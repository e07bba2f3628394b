package waitgraph

import (
	"fmt"
	"slices"
	"testing"
)

// slotLock is the deadlock of scenarios/slot-lock-deadlock.yaml in small: 4 lock holders that
// closed their connections and must dial to release, a waiter for each of the 30 slots, and 46
// waiters without a slot.
func slotLock(slotUnits int) *sketch {
	k := draw(slots(slotUnits), lock("lock:0"), lock("lock:1"), lock("lock:2"), lock("lock:3"))
	for i := range 4 {
		k.worker(fmt.Sprintf("holder-%d", i), of(fmt.Sprintf("lock:%d", i)), of("server"))
	}
	for i := range 30 {
		k.worker(fmt.Sprintf("waiter-%d", i), of("server"), of(fmt.Sprintf("lock:%d", i%4)))
	}
	for i := range 46 {
		k.worker(fmt.Sprintf("outside-%d", i), nil, of("server", fmt.Sprintf("lock:%d", i%4)))
	}
	return k
}

func philosophers(n int) *sketch {
	var forks []Resource
	for i := range n {
		forks = append(forks, lock(fmt.Sprintf("fork-%d", i)))
	}
	k := draw(forks...)
	for i := range n {
		k.worker(fmt.Sprintf("philosopher-%d", i), of(fmt.Sprintf("fork-%d", i)), of(fmt.Sprintf("fork-%d", (i+1)%n)))
	}
	return k
}

func abba() *sketch {
	return draw(lock("A"), lock("B")).worker("w1", of("A"), of("B")).worker("w2", of("B"), of("A"))
}

// poolSelfDeadlock has a lock waiter on every turn of a pool, and a lock holder that waits for a
// turn.
func poolSelfDeadlock() *sketch {
	k := draw(pool("orders", 2), lock("L")).worker("holder", of("L"), of("orders"))
	return k.worker("w1", of("orders"), of("L")).worker("w2", of("orders"), of("L"))
}

func nestedCheckout() *sketch {
	k := draw(pool("orders", 5))
	for i := range 5 {
		k.worker(fmt.Sprintf("w%d", i), of("orders"), of("orders"))
	}
	return k
}

// cycleWithHelp is the textbook figure: a cycle over a resource of two units, one of which is held
// by a process outside the cycle.
func cycleWithHelp(helper Role) *sketch {
	return draw(slots(2), lock("L")).
		worker("w1", of("L"), of("server")).
		worker("w2", of("server"), of("L")).
		add(helper, "helper", of("server"), nil)
}

func orphanedLock() *sketch {
	k := draw(slots(30), lock("L")).add(Orphan, "crashed", of("L"), nil)
	for i := range 6 {
		k.worker(fmt.Sprintf("w%d", i), of("server"), of("L"))
	}
	return k
}

func leakedSlots() *sketch {
	return draw(slots(3), lock("L")).
		add(Outsider, "leak-1", of("server", "server"), nil).add(Outsider, "leak-2", of("server"), nil).
		worker("w1", of("L"), of("server")).worker("w2", nil, of("server", "L"))
}

var none = []string{}

var textbook = []struct {
	name     string
	graph    *sketch
	residue  []string // nil: all waiting processes
	kind     Kind
	sentence string
}{
	// Only Coffman's four conditions.
	{"two locks taken in opposite order", abba(), nil, Deadlock,
		"Deadlock: w1 holds lock A and waits for lock B; w2 holds lock B and waits for lock A."},
	{"dining philosophers", philosophers(5), nil, Deadlock,
		"Deadlock: 5 workers hold 5 locks and wait for one of those 5 locks."},
	{"lockjam's main scenario", slotLock(30), nil, Deadlock,
		"Deadlock: 30 workers hold all 30 client slots and wait for one of 4 locks; 4 workers hold those 4 locks " +
			"and wait for a client slot; 46 workers wait for a client slot and one of those 4 locks."},
	// One lock holder gets the slot, then one lock after the other is released. If no attempt at it
	// succeeds, the graph is not the cause.
	{"one spare slot breaks it", slotLock(31), none, Livelock, ""},
	{"every turn of a pool waits for a worker that waits for a turn", poolSelfDeadlock(), nil, Deadlock,
		"Deadlock: w1 holds 1 of 2 turns of pool orders and waits for lock L; w2 holds 1 of 2 turns of pool orders " +
			"and waits for lock L; holder holds lock L and waits for a turn of pool orders."},
	// A resource that waits for itself: a cycle needs no second one.
	{"a second connection for the same work", nestedCheckout(), nil, Deadlock,
		"Deadlock: 5 workers hold all 5 turns of pool orders and wait for a turn of pool orders."},
	{"a lock that is not reentrant", draw(lock("L")).worker("w", of("L"), of("L")), nil, Deadlock,
		"Deadlock: w holds lock L and waits for lock L."},
	// The cycle w1 - slot - w2 - L - w1 exists all the same.
	{"a cycle, and a working holder outside it", cycleWithHelp(Worker), none, Slowness, ""},
	{"a cycle, and a holder outside it that may release", cycleWithHelp(Idler), none, Slowness, ""},
	{"a cycle, and a holder outside it that never releases", cycleWithHelp(Outsider), of("w1", "w2"), Deadlock,
		"Deadlock: w2 holds 1 of 2 client slots and waits for lock L; w1 holds lock L and waits for a client slot; " +
			"helper never releases 1 of 2 client slots."},
	{"a lock whose owner is dead", orphanedLock(), nil, Orphaned,
		"Orphaned: 6 workers hold 6 of 30 client slots and wait for lock L; dead owner crashed still holds lock L."},
	// No cycle, and no lock to delete: all slots are leaked.
	{"slots that never come back", leakedSlots(), nil, Exhausted,
		"Exhausted: w1 holds lock L and waits for a client slot; w2 waits for a client slot and lock L; leak-1 " +
			"never releases 2 of 3 client slots; leak-2 never releases 1 of 3 client slots."},
	// A goroutine died with a turn of its pool: no lock, and no cycle.
	{"a turn lost with its owner", draw(pool("p", 1)).add(Orphan, "dead", of("p"), nil).worker("w", nil, of("p")),
		nil, Orphaned,
		"Orphaned: w waits for a turn of pool p; dead owner dead still holds the only turn of pool p."},
	// An orphan owns one lock, without which the rest could proceed, although there is a cycle (w1
	// - slot - w2 - L - w1).
	{"a cycle caused by an orphan", draw(slots(2), lock("L"), lock("dead")).
		add(Orphan, "crashed", of("dead"), nil).worker("w1", of("L"), of("server")).
		worker("w2", of("server"), of("L")).worker("w3", of("server"), of("dead")), nil, Orphaned,
		"Orphaned: w2 holds 1 of 2 client slots and waits for lock L; w3 holds 1 of 2 client slots and waits for " +
			"lock dead; w1 holds lock L and waits for a client slot; dead owner crashed still holds lock dead."},
	// Deleting the orphaned lock helps only w3.
	{"a deadlock beside an orphan", abba().with(lock("dead")).
		add(Orphan, "crashed", of("dead"), nil).worker("w3", nil, of("dead")), nil, Deadlock,
		"Deadlock: w1 holds lock A and waits for lock B; w2 holds lock B and waits for lock A; w3 waits for lock " +
			"dead; dead owner crashed still holds lock dead."},
	{"more units than exist", draw(slots(2)).worker("w", nil, of("server", "server", "server")), nil, Exhausted,
		"Exhausted: w waits for 3 client slots."},
	{"free, tried for, and never granted", draw(lock("L")).worker("w1", nil, of("L")).worker("w2", nil, of("L")),
		none, Livelock,
		"2 workers wait, and 100 attempts within 1.5 s led to no grant, although some workers wait only for free " +
			"resources."},
	{"no waits", draw(lock("L")).worker("w1", of("L"), nil).worker("w2", nil, nil), none, Idle, "No worker waits."},
}

func TestTextbook(t *testing.T) {
	for _, tt := range textbook {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.residue
			if want == nil {
				for _, p := range tt.graph.s.Processes {
					if len(p.Waits) > 0 {
						want = append(want, p.Name)
					}
				}
			}
			if got := residueOf(t, tt.graph.s); !slices.Equal(got, want) {
				t.Errorf("residue %v, want %v", got, want)
			}
			f := still(tt.graph)
			if f.Kind != tt.kind {
				t.Errorf("%s, want %s: %s %v", f.Kind, tt.kind, f.Sentence, f.Reasons)
			}
			if tt.sentence != "" && f.Sentence != tt.sentence {
				t.Errorf("it says\n%s\nwant\n%s", f.Sentence, tt.sentence)
			}
			if f.Proved != (len(want) > 0) {
				t.Errorf("proved: %v", f.Proved)
			}
			if f.Proved && f.Residue.Workers != len(want) {
				t.Errorf("%d workers in the residue of the finding, want %d", f.Residue.Workers, len(want))
			}
		})
	}
}

// The counts of a residue in run.json.
func TestResidueCounts(t *testing.T) {
	f := still(slotLock(30))
	r := f.Residue
	if r.Workers != 80 || r.Locks != 4 || r.Slots != 30 || r.Turns != 0 || !r.Circular || f.Waiting != 80 {
		t.Errorf("%d workers, %d locks, %d slots, %d turns, circular %v, %d waiting", r.Workers, r.Locks, r.Slots,
			r.Turns, r.Circular, f.Waiting)
	}
	if r := still(orphanedLock()).Residue; r.Circular || r.Locks != 1 {
		t.Errorf("an orphaned lock: circular %v, %d locks", r.Circular, r.Locks)
	}
}

// The residue omits waits that free units satisfy and units that no worker is blocked on.
func TestResidueLeavesOut(t *testing.T) {
	f := still(draw(slots(9), pool("p", 1), lock("L")).
		add(Outsider, "tool", of("server", "p"), nil).
		worker("w1", of("L"), of("p")).worker("w2", nil, of("server", "L")))
	const want = "Exhausted: w1 holds lock L and waits for a turn of pool p; w2 waits for lock L; tool never " +
		"releases the only turn of pool p."
	if f.Sentence != want {
		t.Errorf("%s\nwant\n%s", f.Sentence, want)
	}
}
