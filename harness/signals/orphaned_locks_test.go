package signals

import (
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// count is a census at some tenth of a second: which workers are alive, and what they hold.
func count(tenth int, locks map[string]string, alive ...int32) history.Census {
	c := history.Census{At: time.Duration(tenth) * 100 * ms, Locks: locks}
	for _, id := range alive {
		c.Workers = append(c.Workers, history.WorkerState{Worker: id})
	}
	return c
}

func TestOrphanedLocks(t *testing.T) {
	type locks = map[string]string
	unanswered := count(3, nil)
	unanswered.Error = "i/o timeout"
	for _, c := range []struct {
		name   string
		census []history.Census
		want   string
	}{
		{"its owner is alive", []history.Census{count(1, locks{"lock:a": "7:1:0000000f"}, 7, 8),
			count(2, locks{"lock:a": "7:1:0000000f"}, 7, 8)}, ""},
		{"its owner is dead: the second census proves it, and the lock's end ends it", []history.Census{
			count(1, locks{"lock:a": "7:1:0000000f"}, 7, 8), count(2, locks{"lock:a": "7:1:0000000f"}, 8),
			count(3, locks{"lock:a": "7:1:0000000f"}, 8, 9),
			count(4, locks{"lock:a": "7:1:0000000f"}, 8, 9), count(5, locks{"lock:a": "8:3:0000000f"}, 8, 9),
		}, "300-500"},
		// Worker 9 came up after the first census had listed the live workers.
		{"its owner came up in between",
			[]history.Census{count(1, locks{"lock:a": "9:1:0000000f"}, 8),
				count(2, locks{"lock:a": "9:1:0000000f"}, 8, 9)}, ""},
		{"two that came up in between, one after the other",
			[]history.Census{count(1, locks{"lock:a": "9:1:0000000f"}, 8),
				count(2, locks{"lock:a": "10:1:0000000f"}, 8, 9)}, ""},
		{"the same owner, and another lock",
			[]history.Census{count(1, locks{"lock:a": "9:1:0000000f"}, 8),
				count(2, locks{"lock:b": "9:1:0000000f"}, 8)}, ""},
		{"a census that Redis did not answer neither raises nor clears", []history.Census{
			count(1, locks{"lock:a": "7:1:0000000f"}, 8), count(2, locks{"lock:a": "7:1:0000000f"}, 8), unanswered,
			count(4, locks{"lock:a": "7:1:0000000f"}, 8),
		}, "200-"},
		{"tokens of others' are nobody's we know", []history.Census{
			count(1, locks{"a": "7", "b": "7:1", "c": "7:1:zz", "d": "", "e": "7:1:f", "f": "+7:1:0000000f",
				"g": "7:1:0000000f:", "h": "07:1:0000000f", "i": "99999999999:1:0000000f"}, 8),
			count(2, locks{"a": "7", "b": "7:1", "c": "7:1:zz", "d": "", "e": "7:1:f", "f": "+7:1:0000000f",
				"g": "7:1:0000000f:", "h": "07:1:0000000f", "i": "99999999999:1:0000000f"}, 8),
		}, ""},
		{"one census proves nothing", []history.Census{count(1, locks{"lock:a": "7:1:0000000f"}, 8)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := spans(orphanedLocks.Firings(View{Census: c.census}, orphanedLocks.Params)); got != c.want {
				t.Errorf("fired %q, want %q", got, c.want)
			}
		})
	}
}

// A lock that survives a restart of the server is as orphaned after it; one that
// is gone with the server is not.
func TestOrphanedLocksOverARestart(t *testing.T) {
	before := map[string]string{"lock:a": "7:1:0000000f", "lock:b": "7:2:0000000f"}
	after := map[string]string{"lock:a": "7:1:0000000f"}
	v := View{Census: []history.Census{count(1, before), count(2, before), count(8, after), count(9, nil)}}
	if got := spans(orphanedLocks.Firings(v, orphanedLocks.Params)); got != "200-900" {
		t.Errorf("fired %s", got)
	}
	if got := spans(orphanedLocks.Firings(v,
		orphanedLocks.Params.With(map[string]float64{"count": 1}))); got != "200-800" {
		t.Errorf("more than one: fired %s", got)
	}
}
