package history

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// realistic simulates a recording: workers take turns at their tenant's lock in cycles of some 14
// ms, with jitter everywhere, times in nanoseconds, operations in the order in which they end.
func realistic(n, workers, tenantsN int) []Op {
	rnd := rand.New(rand.NewPCG(1, 2))
	// Half of the variation is bounded, half has a tail, as latencies do.
	around := func(mean time.Duration) time.Duration {
		return time.Duration(float64(mean) * (0.6 + 0.4*rnd.Float64() + 0.2*rnd.ExpFloat64()))
	}
	const window = time.Second
	type tenant struct {
		free                 time.Duration
		fence, window, count int64
	}
	all := make([]tenant, tenantsN)
	var next arrivals
	for i := range workers {
		heap.Push(&next, Op{Worker: int32(i), Tenant: int32(i % tenantsN),
			Intended: time.Duration(rnd.Int64N(int64(14 * time.Millisecond)))})
	}
	ops := make([]Op, 0, n)
	for len(ops) < n {
		op := heap.Pop(&next).(Op)
		t := &all[op.Tenant]
		op.Begun = op.Intended + around(20*time.Microsecond)
		op.Granted = max(op.Begun+around(300*time.Microsecond), t.free+around(60*time.Microsecond))
		op.Tries = int32(1 + (op.Granted-op.Begun)/time.Millisecond)
		op.Worked = op.Granted + around(400*time.Microsecond)
		op.Released = op.Worked + around(80*time.Microsecond)
		op.Ended = op.Released + around(8*time.Microsecond)
		t.free = op.Released
		t.fence++
		if w := int64(op.Granted / window); w != t.window {
			t.window, t.count = w, 0
		}
		t.count++
		op.Fence, op.Window, op.Count, op.Admitted = t.fence, t.window, t.count, t.count <= 1500
		ops = append(ops, op)
		heap.Push(&next, Op{Worker: op.Worker, Tenant: op.Tenant, Intended: op.Ended + around(1500*time.Microsecond)})
	}
	slices.SortStableFunc(ops, func(a, b Op) int { return int(a.Ended - b.Ended) })
	return ops
}

// arrivals is a heap by Intended.
type arrivals []Op

func (a arrivals) Len() int           { return len(a) }
func (a arrivals) Less(i, j int) bool { return a[i].Intended < a[j].Intended }
func (a arrivals) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)        { *a = append(*a, x.(Op)) }
func (a *arrivals) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// saved writes ops through a real journal, with flushes as often as a run at the pace of ops would
// have, and returns the file's path and size.
func saved(tb testing.TB, ops []Op) (path string, size int64) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "history.ndjson.zst")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	j, err := begin(f, Header{Scenario: "bench", Arm: "none"})
	if err != nil {
		tb.Fatal(err)
	}
	r := newRecorder(j, maxChunks)
	w := writer{r: r}
	due := flushEvery
	for _, op := range ops {
		if op.Ended >= due {
			due = op.Ended + flushEvery
			w.write(true)
		}
		r.Op(op)
		select {
		case <-r.wake:
			w.write(false)
		default:
		}
	}
	w.write(true)
	w.finish()
	if r.err != nil {
		tb.Fatal(r.err)
	}
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return path, info.Size()
}

// BenchmarkRecord measures the cost of Op for its caller. A busy loop is a hundred times faster
// than any Redis, and faster than any disk, so the writer here discards its input; BenchmarkWrite
// measures the writer.
func BenchmarkRecord(b *testing.B) {
	ops := realistic(1<<14, 96, 4)
	for _, callers := range []int{1, 2, 32, 1000} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			r := newRecorder(nil, 1<<30)
			var one sync.Mutex
			w := writer{r: r}
			discard := func() {
				if !one.TryLock() {
					return
				}
				defer one.Unlock()
				select {
				case <-r.wake:
					w.collect()
					w.recycle()
				default:
				}
			}
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for c := range callers {
				wg.Go(func() {
					for i := 0; i < b.N/callers; i++ {
						op := ops[i&(len(ops)-1)]
						op.Worker = int32(c)
						r.Op(op)
						if i&255 == 0 {
							discard()
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			if r.err != nil {
				b.Fatal(r.err)
			}
		})
	}
}

// BenchmarkWrite measures the background cost of an operation, excluding the copy: encoding,
// compressing and writing.
func BenchmarkWrite(b *testing.B) {
	ops := realistic(200_000, 96, 4)
	b.ReportAllocs()
	for b.Loop() {
		saved(b, ops)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ops)), "ns/operation")
}

func BenchmarkEncode(b *testing.B) {
	ops := realistic(1<<14, 96, 4)
	var t tenants
	var line []byte
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		line = t.appendOp(line[:0], &ops[i&(len(ops)-1)])
		i++
	}
}

func BenchmarkLoad(b *testing.B) {
	ops := realistic(1_000_000, 96, 4)
	path, _ := saved(b, ops)
	b.ReportAllocs()
	for b.Loop() {
		h, err := Load(path)
		if err != nil || len(h.Ops) != len(ops) || h.Truncated {
			b.Fatal(err, len(h.Ops), h.Truncated)
		}
	}
	b.ReportMetric(float64(b.N*len(ops))/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkEach(b *testing.B) {
	ops := realistic(1_000_000, 96, 4)
	path, _ := saved(b, ops)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, _, err := Each(path, Visitor{Op: func(*Op) { n++ }}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkSize reports the bytes that an operation takes on disk, at the pace of the operations.
func BenchmarkSize(b *testing.B) {
	for _, c := range []struct{ workers, tenants int }{{16, 4}, {96, 4}, {96, 32}, {1000, 4}, {10000, 20}} {
		b.Run(fmt.Sprintf("workers=%d/tenants=%d", c.workers, c.tenants), func(b *testing.B) {
			ops := realistic(200_000, c.workers, c.tenants)
			var size int64
			for b.Loop() {
				_, size = saved(b, ops)
			}
			b.ReportMetric(float64(size)/float64(len(ops)), "B/op-on-disk")
		})
	}
}
