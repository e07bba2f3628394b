package history

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// recordForever turns the test binary into a process to be killed: see TestKilled.
const recordForever = "LOCKJAM_TEST_RECORD_FOREVER"

func TestMain(m *testing.M) {
	if path := os.Getenv(recordForever); path != "" {
		recordUntilKilled(path)
	}
	goleak.VerifyTestMain(m)
}

// tempJournal returns the path of a journal to create.
func tempJournal(t testing.TB) string { return filepath.Join(t.TempDir(), "history.ndjson.zst") }

func create(t testing.TB) (*Recorder, string) {
	t.Helper()
	path := tempJournal(t)
	r, err := Create(path, Header{Scenario: "slot-lock-deadlock", Arm: "none", Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	return r, path
}

func load(t testing.TB, path string) *History {
	t.Helper()
	h, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// genReplies generates replies: nil, empty or filled.
var genReplies = rapid.Custom(func(t *rapid.T) Replies {
	if rapid.Bool().Draw(t, "not recorded") {
		return nil
	}
	return Replies(rapid.MapOf(rapid.String(), rapid.Custom(func(t *rapid.T) Reply {
		return Reply{rapid.Int64().Draw(t, "count"), rapid.String().Draw(t, "first"), rapid.String().Draw(t, "last")}
	})).Draw(t, "replies"))
})

// byAll is a total order of operations.
func byAll(a, b Op) int {
	return cmp.Or(cmp.Compare(a.Ended, b.Ended), cmp.Compare(a.Worker, b.Worker),
		strings.Compare(fmt.Sprint(a), fmt.Sprint(b)))
}

func genServer(times *rapid.Generator[time.Duration]) *rapid.Generator[*Server] {
	status := rapid.Custom(func(t *rapid.T) ServerStatus {
		n, word := rapid.Int64(), rapid.String()
		return ServerStatus{n.Draw(t, "evicted"), n.Draw(t, "used"), n.Draw(t, "max"), word.Draw(t, "rdb"),
			word.Draw(t, "aof"), word.Draw(t, "role")}
	})
	return rapid.Custom(func(t *rapid.T) *Server {
		v := rapid.SliceOfN(rapid.Int64(), 7, 7).Draw(t, "server")
		s := &Server{
			RunID: rapid.String().Draw(t, "run"), Connected: v[0], MaxClients: v[1], Rejected: v[2], Received: v[3],
			Commands: v[4], Own: v[5], Calls: v[6], CommandTime: times.Draw(t, "spent"), CPU: times.Draw(t, "cpu"),
			ServerStatus: status.Draw(t, "status"),
			Replies:      genReplies.Draw(t, "replies"), ErrorReplies: v[0],
		}
		if rapid.Bool().Draw(t, "old") {
			s.Missing = map[string]string{"maxclients": rapid.String().Draw(t, "why")}
		}
		return s
	})
}

func genSample(times *rapid.Generator[time.Duration]) *rapid.Generator[Sample] {
	server := genServer(times)
	return rapid.Custom(func(t *rapid.T) Sample {
		v := rapid.SliceOfN(rapid.Int64(), 14, 14).Draw(t, "swarm")
		s := Sample{At: times.Draw(t, "at"), Took: times.Draw(t, "took"), SchedDelay: times.Draw(t, "delay"),
			ServerCPU: times.Draw(t, "server cpu"), Error: rapid.String().Draw(t, "error")}
		s.Swarm = Swarm{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12],
			times.Draw(t, "spent"), [Classes]int64{}, genReplies.Draw(t, "replies"), v[13], times.Draw(t, "oldest")}
		copy(s.Swarm.Errors[:], rapid.SliceOfN(rapid.Int64(), 0, Classes).Draw(t, "errors"))
		if rapid.Bool().Draw(t, "answered") {
			s.Server = server.Draw(t, "server")
		}
		w, text := rapid.SliceOfN(rapid.Int64(), 16, 16).Draw(t, "watched"), rapid.String().Draw(t, "text")
		if rapid.Bool().Draw(t, "canary") {
			s.Canary = &Canary{w[0], w[1], w[2], w[3], w[4], w[5], text, text}
		}
		if rapid.Bool().Draw(t, "locks") {
			s.Locks = &Locks{w[6], w[7], times.Draw(t, "idle"), w[8], w[9] > 0, w[14], text, text}
		}
		if rapid.Bool().Draw(t, "monitor") {
			s.Monitor = &Monitor{times.Draw(t, "from"), times.Draw(t, "to"), w[10], w[11], w[12], w[13], text, text}
		}
		return s
	})
}

func genMark(times *rapid.Generator[time.Duration]) *rapid.Generator[Mark] {
	return rapid.Custom(func(t *rapid.T) Mark {
		return Mark{times.Draw(t, "at"), MarkKind(rapid.String().Draw(t, "kind")), rapid.String().Draw(t, "name"),
			rapid.String().Draw(t, "detail"), times.Draw(t, "until"), rapid.Int64Min(0).Draw(t, "ops")}
	})
}

func TestRoundTrip(t *testing.T) {
	dir, n := t.TempDir(), 0
	times := genTime()
	rapid.Check(t, func(t *rapid.T) {
		want := History{
			Header: Header{
				Schema: Schema, Scenario: rapid.String().Draw(t, "scenario"), Arm: rapid.String().Draw(t, "arm"),
				Seed: rapid.Uint64().Draw(t, "seed"), Started: time.Unix(0, rapid.Int64().Draw(t, "started")).UTC(),
			},
			Ops:     rapid.SliceOf(genOp(times)).Draw(t, "ops"),
			Samples: rapid.SliceOf(genSample(times)).Draw(t, "samples"),
			Marks:   rapid.SliceOf(genMark(times)).Draw(t, "marks"),
		}
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		r, err := Create(path, want.Header)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range want.Ops {
			r.Op(op)
		}
		for _, s := range want.Samples {
			r.Sample(s)
		}
		for _, m := range want.Marks {
			r.Mark(m)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(got.Ops, func(a, b Op) int { return cmp.Compare(a.Ended, b.Ended) }) {
			t.Fatal("operations are not in the order of their ends")
		}
		slices.SortStableFunc(want.Samples, func(a, b Sample) int { return cmp.Compare(a.At, b.At) })
		slices.SortStableFunc(want.Marks, func(a, b Mark) int { return cmp.Compare(a.At, b.At) })
		slices.SortFunc(want.Ops, byAll)
		slices.SortFunc(got.Ops, byAll)
		if got.Truncated || got.Header != want.Header || !slices.Equal(got.Ops, want.Ops) ||
			!slices.Equal(got.Marks, want.Marks) ||
			len(got.Samples) != len(want.Samples) || len(want.Samples) > 0 &&
			!reflect.DeepEqual(got.Samples, want.Samples) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// The operations of one worker keep their order, even those with equal ends.
func TestOrderOfOneWorker(t *testing.T) {
	r, path := create(t)
	for i := range 5000 {
		r.Op(Op{Worker: 3, Fence: int64(i), Ended: time.Duration(i/100) * time.Millisecond})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for i, op := range load(t, path).Ops {
		if op.Fence != int64(i) {
			t.Fatalf("operation %d stands at %d", op.Fence, i)
		}
	}
}

func TestConcurrentRecording(t *testing.T) {
	const workers, each = 64, 500
	r, path := create(t)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				r.Op(Op{Worker: int32(w), Tenant: int32(w % 4), Fence: int64(i),
					Ended: time.Duration(i) * time.Millisecond})
				if i%50 == 0 {
					r.Sample(Sample{At: time.Duration(i), Swarm: Swarm{Workers: workers}})
					r.Mark(Mark{At: time.Duration(i), Kind: NoteMark, Name: "here"})
					time.Sleep(time.Millisecond)
				}
				if r.Err() != nil {
					t.Error(r.Err())
				}
			}
		})
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h := load(t, path)
	if h.Truncated || len(h.Ops) != workers*each || len(h.Samples) != workers*10 || len(h.Marks) != workers*10 {
		t.Fatalf("truncated %t, %d operations, %d samples, %d marks", h.Truncated, len(h.Ops), len(h.Samples),
			len(h.Marks))
	}
	var next [workers]int64
	for _, op := range h.Ops {
		if op.Fence != next[op.Worker] {
			t.Fatalf("worker %d: operation %d where %d was due", op.Worker, op.Fence, next[op.Worker])
		}
		next[op.Worker]++
	}
}

func TestOpDoesNotAllocate(t *testing.T) {
	r, _ := create(t)
	ops := realistic(1000, 96, 4)
	i := 0
	// Enough operations to fill and queue many chunks.
	allocs := testing.AllocsPerRun(100_000, func() {
		r.Op(ops[i%len(ops)])
		i++
	})
	if allocs != 0 {
		t.Errorf("%v allocations per operation", allocs)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCloseTwice(t *testing.T) {
	r, path := create(t)
	r.Op(Op{Ended: time.Second})
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-r.Failed():
		t.Error("failed without an error")
	default:
	}
	if h := load(t, path); h.Truncated || len(h.Ops) != 1 {
		t.Errorf("truncated %t, %d operations", h.Truncated, len(h.Ops))
	}

	// Recording after Close is an error, so that no late worker goes unnoticed.
	r.Op(Op{})
	r.Mark(Mark{})
	<-r.Failed()
	err := r.Close()
	if err == nil || !strings.Contains(err.Error(),
		"recorded after Close (0 operations not written, 2 records refused)") {
		t.Error(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	r, path := create(t)
	r.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, Header{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another journal: %v", err)
	}
	if after, _ := os.ReadFile(path); !slices.Equal(before, after) {
		t.Error("the other journal has changed")
	}
	if _, err := Create(filepath.Join(t.TempDir(), "none", "x"), Header{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	path = tempJournal(t)
	if _, err := Create(path, Header{Scenario: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("takes a header that nobody can read")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("leaves a file that nobody can read: %v", err)
	}
}

func TestLongestLine(t *testing.T) {
	room := maxLine - 1 - len(`{"mark":{"at_us":0,"kind":"note","detail":""}}`)
	longest := Mark{Kind: NoteMark, Detail: strings.Repeat("x", room)}
	r, path := create(t)
	r.Mark(longest)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if h := load(t, path); h.Truncated || len(h.Marks) != 1 || h.Marks[0] != longest {
		t.Error("the longest line does not come back")
	}

	r, path = create(t)
	longest.Detail += "x"
	r.Mark(longest)
	<-r.Failed()
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), path) ||
		!strings.Contains(err.Error(), fmt.Sprintf("the limit is %d", maxLine-1)) {
		t.Error(err)
	}
	if h := load(t, path); !h.Truncated {
		t.Error("a mark is missing, and the journal does not say so")
	}
}

// A pipe without a reader acts as a disk that has stopped: callers must not block, memory must stay
// bounded, and losses must be reported.
func TestDiskTooSlow(t *testing.T) {
	const limit = 3 * shards
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r, err := record(in, Header{}, limit)
	if err != nil {
		t.Fatal(err)
	}
	recorded := int64(0)
	for rnd, failed := rand.New(rand.NewPCG(1, 2)), false; !failed; {
		select {
		case <-r.Failed():
			failed = true
		default:
			// Random numbers do not compress, so the pipe fills soon.
			r.Op(Op{Worker: int32(recorded), Fence: rnd.Int64(), Window: rnd.Int64(), Count: rnd.Int64(),
				Ended: time.Duration(recorded)})
			recorded++
		}
	}
	for range 10 {
		r.Op(Op{})
	}
	r.mu.Lock()
	chunks := r.chunks
	r.mu.Unlock()
	if chunks > limit {
		t.Errorf("%d chunks, at most %d are allowed", chunks, limit)
	}

	packed := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(out)
		packed <- b
	}()
	err = r.Close()
	if err == nil || !strings.Contains(err.Error(), "the disk is too slow") ||
		!strings.Contains(err.Error(), "(0 operations not written, 11 records refused)") {
		t.Error(err)
	}
	path := tempJournal(t)
	if err := os.WriteFile(path, <-packed, 0o600); err != nil {
		t.Fatal(err)
	}
	// Accepted operations are readable; the loss of the others shows.
	if h := load(t, path); !h.Truncated || int64(len(h.Ops)) != recorded-1 {
		t.Errorf("truncated %t, %d operations of %d", h.Truncated, len(h.Ops), recorded-1)
	}
}

func TestTooManyMarks(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r, err := record(in, Header{}, shards)
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 32<<10)
	for rnd, failed := rand.New(rand.NewPCG(1, 2)), false; !failed; {
		select {
		case <-r.Failed():
			failed = true
		default:
			for i := range noise {
				noise[i] = byte(' ' + rnd.IntN(90))
			}
			r.Mark(Mark{Kind: NoteMark, Detail: string(noise)})
		}
	}
	out.Close() // the writer gets EPIPE and drains its queue
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "of samples and other records are queued") {
		t.Error(err)
	}
}

// recordUntilKilled records, and from time to time prints the number of operations recorded so far.
func recordUntilKilled(path string) {
	r, err := Create(path, Header{Scenario: "killed"})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	start := time.Now()
	for n := int64(0); ; n++ {
		r.Op(Op{Worker: int32(n % 96), Fence: n, Ended: time.Since(start)})
		if n%1000 == 0 {
			fmt.Println(n)
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// SIGKILL allows no cleanup: operations older than 250 ms must already be on disk.
func TestKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := tempJournal(t)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), recordForever+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for said.Scan() && said.Text() != "50000" { // half a second, or more
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // always fails: it was killed

	h := load(t, path)
	if !h.Truncated || h.Header.Scenario != "killed" || len(h.Ops) == 0 {
		t.Fatalf("truncated %t, %d operations, scenario %q", h.Truncated, len(h.Ops), h.Header.Scenario)
	}
	for i, op := range h.Ops {
		if op.Fence != int64(i) {
			t.Fatalf("operation %d stands at %d", op.Fence, i)
		}
	}
	if len(h.Ops) < 50_000/4 {
		t.Errorf("of 50,000 operations in half a second or more, %d are left", len(h.Ops))
	}
}

// A census and a probe survive a round trip, at the precision of the journal.
func TestCensusAndProbeRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.ndjson.zst")
	want := Census{
		At: 2 * time.Second, Took: 3 * time.Microsecond, Before: Progress{1, 2, 3}, After: Progress{4, 5, 6}, Slots: 30,
		Workers: []WorkerState{
			{Worker: 7, State: "waiting", Lock: "lock:a", Token: "7:1:f", Since: time.Second, Client: "c",
				Connected: 1, Opened: 5 * time.Microsecond, Other: "lock:b", OtherSince: 4 * time.Microsecond},
			{Worker: 8, State: "idle", Shared: true, Kept: true, KeptSince: 6 * time.Microsecond, Outer: true,
				OuterSince: 5 * time.Microsecond},
		},
		Locks: map[string]string{"lock:a": "8:1:e"}, Clients: map[string]int64{"c": 1},
	}
	r, err := Create(path, Header{Schema: Schema})
	if err != nil {
		t.Fatal(err)
	}
	probe := Probe{
		At: time.Second, Took: time.Millisecond, Name: RunbookMonitor, Command: "redis-cli monitor", Connected: true,
		Lines: 3, Matches: 2, Grants: 5, Releases: 4, Output: "OK", Error: "cut",
	}
	r.Census(want)
	r.Probe(probe)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := Load(path)
	if err != nil || h.Truncated || len(h.Census) != 1 || !reflect.DeepEqual(h.Census[0], want) ||
		len(h.Probes) != 1 || h.Probes[0] != probe {
		t.Errorf("%v, %+v\nwant %+v", err, h, want)
	}
}
