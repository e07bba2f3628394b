package sampler

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// clientAs connects as a user with these rules.
func clientAs(t *testing.T, e server.Endpoint, admin *redis.Client, name string, rules ...any) *redis.Client {
	t.Helper()
	do(t, admin, append([]any{"ACL", "SETUSER", name, "reset", "on", ">pass"}, rules...)...)
	c := redis.NewClient(&redis.Options{
		Addr: e.Addr, Protocol: 2, Username: name, Password: "pass", PoolSize: 1, PipelinePoolSize: -1, MaxRetries: -1,
		DisableIdentity: true,
	})
	t.Cleanup(func() { c.Close() })
	return c
}

func setKeys(t *testing.T, c *redis.Client, prefix string, n int) {
	t.Helper()
	_, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(t.Context(), fmt.Sprintf("%s%06d", prefix, i), "token", 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// readLocks is a first look at the keys.
func readLocks(ctx context.Context, c *redis.Client, pattern string) history.Locks {
	found, _ := newKeys(pattern).look(ctx, c, "")
	return found
}

func TestReadLocks(t *testing.T) {
	s := startRedis(t, nil)
	c := openControl(t, s.Endpoint()).Sampler
	if got := readLocks(t.Context(), c, "lock:*"); got != (history.Locks{}) {
		t.Errorf("no keys at all: %+v", got)
	}
	begun := time.Now()
	setKeys(t, c, "lock:lj-1:", 5)
	setKeys(t, c, "count:lj-1:", 50)
	setKeys(t, c, "lock:lj-2:", 7)
	do(t, c, "PEXPIRE", "lock:lj-1:000001", "100000")
	do(t, c, "PEXPIRE", "lock:lj-1:000003", "100000")

	got := readLocks(t.Context(), c, "lock:lj-1:*")
	// Redis counts idle time in whole seconds of a clock that it looks at now and then.
	if got.OldestIdle < 0 || got.OldestIdle > time.Since(begun)+time.Second {
		t.Errorf("idle for %v", got.OldestIdle)
	}
	got.OldestIdle = 0
	if want := (history.Locks{Keys: 5, NoTTL: 3, Asked: 5}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := readLocks(t.Context(), c, "lock:*"); got.Keys != 12 {
		t.Errorf("with a wider pattern: %+v", got)
	}
}

// Looking must not make the locks look younger.
func TestReadLocksLeavesIdleTimeAlone(t *testing.T) {
	s := startRedis(t, nil)
	c := openControl(t, s.Endpoint()).Sampler
	setKeys(t, c, "lock:", 3)
	eventually(t, "a lock that is looked at all the time has been idle for a second", func() bool {
		got := readLocks(t.Context(), c, "lock:*")
		if got.Error != "" || got.IdleError != "" || got.Keys != 3 {
			t.Fatalf("%+v", got)
		}
		return got.OldestIdle >= time.Second
	})
}

func TestReadLocksAsksTheFirstOnly(t *testing.T) {
	s := startRedis(t, nil)
	c := openControl(t, s.Endpoint()).Sampler
	setKeys(t, c, "lock:", 1000)
	do(t, c, "PEXPIRE", "lock:000199", "100000")
	do(t, c, "PEXPIRE", "lock:000200", "100000") // the 201st
	got := readLocks(t.Context(), c, "lock:*")
	if got.Keys != 1000 || got.Asked != locksAsked || got.NoTTL != locksAsked-1 || got.Partial {
		t.Errorf("%+v", got)
	}
}

// A keyspace that is too large for one look is gone through in several, and then
// the count is exact, the time after that too.
func TestReadLocksOfLargeKeyspace(t *testing.T) {
	s := startRedis(t, nil)
	c := openControl(t, s.Endpoint()).Sampler
	setKeys(t, c, "theirs:", 50_000)
	setKeys(t, c, "lock:", 500)
	k := newKeys("lock:*")
	for range 2 {
		var last history.Locks
		for look := int64(1); look <= 2; look++ {
			got, err := k.look(t.Context(), c, "a")
			if err != nil || !got.Partial || got.Keys <= last.Keys || got.Keys >= 500 ||
				got.Scanned != look*scanRounds*scanCount {
				t.Errorf("look %d: %+v, %v", look, got, err)
			}
			last = got
		}
		if got, err := k.look(t.Context(), c, "a"); err != nil || got.Partial || got.Keys != 500 ||
			got.Asked != locksAsked {
			t.Errorf("all of it: %+v, %v", got, err)
		}
	}
	// A restart makes the cursor one of nothing.
	if _, err := k.look(t.Context(), c, "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := k.look(t.Context(), c, "b"); err != nil || got.Scanned != scanRounds*scanCount {
		t.Errorf("after a restart: %+v, %v", got, err)
	}
	// What matters is how many keys there are to look through, not how many match.
	if got := readLocks(t.Context(), c, "lock:0000*"); !got.Partial {
		t.Errorf("%+v", got)
	}
}

func TestReadLocksUnderLFU(t *testing.T) {
	s := startRedis(t, nil)
	c := openControl(t, s.Endpoint()).Sampler
	setKeys(t, c, "lock:", 4)
	do(t, c, "CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
	got := readLocks(t.Context(), c, "lock:*")
	if got.Keys != 4 || got.Asked != 4 || got.NoTTL != 4 || got.OldestIdle != 0 || got.Error != "" ||
		!strings.Contains(got.IdleError, "OBJECT IDLETIME") ||
		!strings.Contains(got.IdleError, "An LFU maxmemory policy is selected") {
		t.Errorf("%+v", got)
	}
}

func TestReadLocksWithoutPermission(t *testing.T) {
	s := startRedis(t, nil)
	admin := openControl(t, s.Endpoint()).Admin
	setKeys(t, admin, "lock:", 4)
	for _, test := range []struct {
		why       string
		rules     []any
		keys      int64
		asked     int64
		errorSays string
		idleSays  string
		denials   int64 // in three looks
	}{
		{"no SCAN, no locks", []any{"~*", "+@all", "-scan"}, 0, 0, "NOPERM", "", 3}, // it is tried again
		{"without PTTL there are keys all the same", []any{"~*", "+@all", "-pttl"}, 4, 0, "", "PTTL", 1},
		{"without OBJECT there is no idle time", []any{"~*", "+@all", "-object"}, 4, 4, "", "OBJECT IDLETIME", 1},
		{"SCAN shows keys that the user may not ask about", []any{"~lock:000002", "+@all"}, 4, 1, "", "PTTL", 6},
	} {
		t.Run(test.why, func(t *testing.T) {
			c := clientAs(t, s.Endpoint(), admin, "looker", test.rules...)
			do(t, admin, "ACL", "LOG", "RESET")
			k := newKeys("lock:*")
			for range 3 {
				got, err := k.look(t.Context(), c, "")
				if err != nil || got.Keys != test.keys || got.Asked != test.asked || got.NoTTL != test.asked ||
					got.OldestIdle != 0 {
					t.Errorf("%+v, %v", got, err)
				}
				if !says(got.Error, test.errorSays, "NOPERM") || !says(got.IdleError, test.idleSays, "NOPERM") {
					t.Errorf("says %q and %q", got.Error, got.IdleError)
				}
			}
			if got := denials(t, admin); got != test.denials {
				t.Errorf("%d denials in the ACL log, want %d", got, test.denials)
			}
		})
	}
}

// says checks for both words, or for no text at all where the first is empty.
func says(text, word, other string) bool {
	if word == "" {
		return text == ""
	}
	return strings.Contains(text, word) && strings.Contains(text, other)
}

func TestReadLocksOfLostServer(t *testing.T) {
	s := startRedis(t, nil)
	c := openControl(t, s.Endpoint()).Sampler
	setKeys(t, c, "lock:", 4)
	if err := s.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := readLocks(t.Context(), c, "lock:*")
	if !says(got.Error, "SCAN", s.Endpoint().Addr) || got != (history.Locks{Error: got.Error}) {
		t.Errorf("%+v", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := readLocks(ctx, c, "lock:*"); got.Error == "" {
		t.Errorf("after the end: %+v", got)
	}
}
