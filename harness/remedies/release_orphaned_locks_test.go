package remedies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// orphans is what a proof of death would say.
func (b *bench) orphans(tokens map[string]string, err error) {
	b.Orphans = func(context.Context) (map[string]string, error) { return tokens, err }
}

func (b *bench) logged(words ...string) {
	b.Helper()
	for _, w := range words {
		if !strings.Contains(strings.Join(b.log, "\n"), w) {
			b.Errorf("the log does not say %q:\n%s", w, strings.Join(b.log, "\n"))
		}
	}
}

// Between the proof and the deletion a lock may get another owner, which is alive, or go.
func TestReleaseOrphanedLocksLeavesTheLivingAlone(t *testing.T) {
	b := newBench(t, nil)
	b.set("lock:dead", "lock:alive", "lock:taken over")
	b.orphans(map[string]string{"lock:dead": "token", "lock:taken over": "the dead one's", "lock:gone": "token"}, nil)
	if err := b.apply("release-orphaned-locks", nil); err != nil {
		t.Fatal(err)
	}
	if b.count("lock:dead") != 0 || b.count("lock:alive", "lock:taken over") != 2 {
		t.Errorf("%d orphans and %d others are left; want 0 and 2", b.count("lock:dead"),
			b.count("lock:alive", "lock:taken over"))
	}
	want := []string{
		"look for locks whose owner is dead: 3 locks: lock:dead, lock:gone, lock:taken over",
		"delete lock:dead if it still holds token: 1: deleted",
		"delete lock:gone if it still holds token: 0: it is gone or has another token by now, and was left alone",
		"delete lock:taken over if it still holds the dead one's: 0: it is gone or has another token by now, and was left alone",
	}
	if !slices.Equal(b.log, want) {
		t.Errorf("log:\n%s\nwant:\n%s", strings.Join(b.log, "\n"), strings.Join(want, "\n"))
	}
}

func TestReleaseOrphanedLocksWhereThereIsNone(t *testing.T) {
	b := newBench(t, nil)
	b.set("lock:alive")
	b.orphans(nil, nil)
	if err := b.apply("release-orphaned-locks", nil); err != nil || b.count("lock:alive") != 1 {
		t.Errorf("%v, %d locks left", err, b.count("lock:alive"))
	}
	b.logged("no lock has a dead owner: nothing to release")
}

func TestReleaseOrphanedLocksWhereNothingCanBeKnown(t *testing.T) {
	b := newBench(t, nil)
	unknown := errors.New("no census was made")
	b.orphans(nil, unknown)
	if err := b.apply("release-orphaned-locks", nil); !errors.Is(err, ErrBlocked) || !errors.Is(err, unknown) {
		t.Errorf("%v; want blocked: %v", err, unknown)
	}
	b.logged("nothing can be known: no census was made")
}

// The log of a thousand orphans is short, and every one of them is released, on a
// full server too.
func TestReleaseOrphanedLocksOfAFullServer(t *testing.T) {
	b := newBench(t, nil)
	tokens := map[string]string{}
	for i := range 1000 {
		tokens[fmt.Sprintf("lock:%03d", i)] = "token"
	}
	tokens["lock:007"], tokens["lock:900"] = "another", "another"
	for lock := range tokens {
		b.set(lock)
	}
	b.fill()
	b.orphans(tokens, nil)
	if err := b.apply("release-orphaned-locks", nil); err != nil {
		t.Fatal(err)
	}
	if left := b.control.Admin.DBSize(t.Context()).Val(); left != 2 {
		t.Errorf("%d locks are left; want 2", left)
	}
	b.logged("lock:019 and 980 more", "the same with the other 980 locks: 979 deleted, 1 left alone")
	if len(b.log) != mostListed+2 {
		t.Errorf("%d steps", len(b.log))
	}
}

// A managed service may forbid scripts. Its answer is the reason.
func TestReleaseOrphanedLocksWhereScriptsAreForbidden(t *testing.T) {
	for _, rules := range [][]string{
		{"-evalsha", "-eval"},
		{"-eval"}, // EVALSHA answers NOSCRIPT, and EVAL is what would load it
	} {
		t.Run(strings.Join(rules, " "), func(t *testing.T) {
			b := newBench(t, nil)
			b.set("lock:dead")
			b.orphans(map[string]string{"lock:dead": "token"}, nil)
			b.forbid(rules...)
			err := b.apply("release-orphaned-locks", nil)
			if !errors.Is(err, ErrBlocked) || !strings.Contains(err.Error(), "NOPERM") ||
				!strings.Contains(err.Error(), "lock:dead") {
				t.Errorf("%v; want blocked, with the lock and NOPERM", err)
			}
			b.logged("delete lock:dead if it still holds token: NOPERM")
		})
	}
}

// forbid takes commands from the user that everybody is.
func (b *bench) forbid(rules ...string) {
	b.Helper()
	if err := b.control.Admin.ACLSetUser(b.Context(), "default", rules...).Err(); err != nil {
		b.Skipf("this server's ACL cannot forbid %v: %v", rules, err)
	}
}
