package waitgraph

import (
	"strings"
	"testing"
	"time"
)

// An idle client of another application holds the slot that the first lock holder needs. The swarm
// could proceed with that slot, so nothing is proved, and the client is named.
func TestForeignClientPreventsProof(t *testing.T) {
	s := slotLock(31).add(Foreigner, "client cron", of("server"), nil).s
	f := Analyze(s, later(s), Activity{Attempts: 90}, thresholds)
	if f.Kind != Unproved || f.Proved || len(f.Foreign) != 1 || f.Foreign[0] != "client cron" {
		t.Fatalf("%s, proved %v, foreign %q", f.Kind, f.Proved, f.Foreign)
	}
	want := `"client cron" holds 1 of 31 client slots for an unknown time: ` +
		"the standstill may end if that client releases its resources"
	if got := strings.Join(f.Reasons, "; "); !strings.HasSuffix(got, want) {
		t.Errorf("reasons %q", got)
	}
}

// A foreign client's units that would not help the stuck workers leave the proof intact.
func TestIrrelevantForeignClient(t *testing.T) {
	s := orphanedLock().add(Foreigner, "client cron", of("server"), nil).s
	if f := Analyze(s, later(s), Activity{Attempts: 90}, thresholds); f.Kind != Orphaned || !f.Proved ||
		f.Foreign != nil {
		t.Errorf("%s, proved %v, foreign %q: %s", f.Kind, f.Proved, f.Foreign, f.Sentence)
	}
	s = abba().with(slots(5)).add(Foreigner, "client cron", of("server"), nil).s
	if f := Analyze(s, later(s), Activity{Attempts: 90}, thresholds); f.Kind != Deadlock || f.Foreign != nil {
		t.Errorf("%s, foreign %q: %s", f.Kind, f.Foreign, f.Sentence)
	}
}

// refusing makes the server answer the commands of these processes with an error.
func (k *sketch) refusing(reply string, names ...string) *sketch {
	for i := range k.s.Processes {
		for _, name := range names {
			if k.s.Processes[i].Name == name {
				k.s.Processes[i].Refused = &Refusal{Reply: reply, Since: began}
			}
		}
	}
	return k
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name     string
		graph    *sketch
		kind     Kind
		sentence string
	}{
		// A holder that needs only an accepted command cannot release.
		{"releases are refused", draw(lock("L")).worker("owner", of("L"), nil).worker("w1", nil, of("L")).
			refusing("MISCONF", "owner"),
			Refused, "Refused: owner, whose commands Redis refuses (MISCONF), holds lock L; w1 waits for lock L; 50 " +
				"attempts within 1.5 s led to no grant."},
		// The lock is free, but this is not livelock.
		{"attempts are refused", draw(lock("L")).worker("w1", nil, of("L")).worker("w2", nil, of("L")).
			refusing("OOM", "w1", "w2"),
			Refused, "Refused: Redis refuses the commands of w1 (OOM); Redis refuses the commands of w2 (OOM); 50 " +
				"attempts within 1.5 s led to no grant."},
		// Without a lock there is nothing else to wait for.
		{"decisions without a lock are refused",
			draw(slots(9)).worker("w1", of("server"), nil).refusing("NOPERM", "w1"),
			Refused, "Refused: w1, whose commands Redis refuses (NOPERM), holds 1 of 9 client slots; 50 attempts " +
				"within 1.5 s led to no grant."},
		{"a cycle exists regardless of refusals", abba().refusing("OOM", "w1"),
			Deadlock, "Deadlock: w1 holds lock A and waits for lock B; w2 holds lock B and waits for lock A."},
		{"the lock expires under the refused holder",
			draw(lock("L")).worker("owner", of("L"), nil).worker("w1", nil, of("L")).
				refusing("OOM", "owner").expiring(20*time.Second, "owner"), Refused, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Analyze(c.graph.s, later(c.graph.s), Activity{Attempts: 50}, thresholds)
			if f.Kind != c.kind || !f.Proved || c.sentence != "" && f.Sentence != c.sentence {
				t.Errorf("%s, proved %v: %s %q", f.Kind, f.Proved, f.Sentence, f.Reasons)
			}
		})
	}
}

// A refusal that began between the snapshots is a new one: a command was accepted in the meantime.
func TestNewRefusal(t *testing.T) {
	graph := func(since time.Duration) Snapshot {
		k := draw(lock("L")).worker("owner", of("L"), nil).worker("w1", nil, of("L")).refusing("MISCONF", "owner")
		k.s.Processes[0].Refused.Since = since
		return k.s
	}
	if f := Analyze(graph(began), later(graph(began+1)), Activity{Attempts: 50}, thresholds); f.Proved {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}

// Locks that their owners left behind expire with their TTL, and the sentence does not claim that
// they never will.
func TestLocksLeftToExpire(t *testing.T) {
	s := draw(slots(9), lock("L")).worker("w1", of("server"), of("L")).worker("w2", of("server"), of("L")).
		add(Outsider, "worker 3 in its request 22", of("L"), nil).
		expiring(20*time.Second, "worker 3 in its request 22").s
	f := Analyze(s, later(s), Activity{Attempts: 90}, thresholds)
	if f.Kind != Transient || strings.Contains(f.Sentence, "never") ||
		!strings.Contains(f.Sentence, "leaves lock L to expire") {
		t.Errorf("%s: %s", f.Kind, f.Sentence)
	}
}
