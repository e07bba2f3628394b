package history

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// bound lowers the bounds for a test.
func bound(t *testing.T, b bounds) {
	was := readBounds
	readBounds = b
	t.Cleanup(func() { readBounds = was })
}

// Every reader returns ErrTooLong for a journal that exceeds a bound, and reads a journal of
// exactly that size completely.
func TestTooLong(t *testing.T) {
	const n = 1000
	path := filepath.Join(t.TempDir(), "history")
	r, err := Create(path, Header{Schema: Schema})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		r.Op(Op{Worker: 1})
	}
	r.Census(Census{Workers: make([]WorkerState, n)})
	names := map[string]int64{}
	for i := range n {
		names[strconv.Itoa(i)] = 1
	}
	r.Census(Census{Clients: names})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bounds
		why string // "" for none
	}{
		{bounds{ops: n, memory: MaxMemory}, ""},
		{bounds{ops: n - 1, memory: MaxMemory}, "more than 999 operations"},
		{bounds{ops: n, memory: n * (opCost + objectCost)}, "more than 0 MiB of memory"},
		{bounds{ops: n, memory: n * (opCost + objectCost + 70)}, /* room for the text, not for the map */
			"more than 0 MiB of memory"},
		{bounds{ops: n, memory: n * (opCost + objectCost + 200)}, ""},
	} {
		bound(t, c.bounds)
		h, err := Load(path)
		if errors.Is(err, ErrTooLong) != (c.why != "") || c.why != "" && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: %v", c.bounds, err)
		}
		if c.why == "" && (len(h.Ops) != n || len(h.Census) != 2 || h.Truncated) {
			t.Errorf("%+v: %d operations, %d censuses, truncated %v", c.bounds, len(h.Ops), len(h.Census), h.Truncated)
		}
		ops := 0
		if _, _, err := Each(path, Visitor{Op: func(*Op) { ops++ }}); c.why != "" && c.memory == MaxMemory &&
			!errors.Is(err, ErrTooLong) {
			t.Errorf("%+v: Each: %v", c.bounds, err)
		}
		if int64(ops) > c.ops {
			t.Errorf("%+v: %d operations passed on", c.bounds, ops)
		}
	}
}

// A million operations, and ten minutes of censuses of a thousand workers, are within the bounds.
func TestRoomForLongRuns(t *testing.T) {
	const stance = 130 // bytes of a worker in a census, measured
	census := costOf([]byte(strings.Repeat("{"+strings.Repeat("x", stance), 1000)))
	if used := 1_000_000*opCost + 10*60*10*census; used > MaxMemory {
		t.Errorf("they take %d MiB of %d", used>>20, MaxMemory>>20)
	}
}

// Objects that are short in the journal and large in memory are counted by their size in memory.
func TestCostOfEmptyObjects(t *testing.T) {
	for _, short := range []string{"{},{}", "null,null"} {
		if got := costOf([]byte(short)); got < 2*objectCost {
			t.Errorf("%s costs %d bytes; want %d at least", short, got, 2*objectCost)
		}
	}
}
