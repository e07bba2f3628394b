package history

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	// flushEvery is below 250 ms, the most that a killed process may lose.
	flushEvery = 200 * time.Millisecond

	// shards reduce contention between workers. On an idle machine a single buffer costs no more;
	// on a busy one, where the holder of its mutex may be descheduled, it costs half a microsecond
	// per operation.
	shards   = 8
	chunkOps = 512 // operations per chunk

	// maxBacklog bounds the memory, in bytes, of operations that wait for the disk: some 800,000.
	maxBacklog = 64 << 20
	maxChunks  = maxBacklog / chunkSize
	chunkSize  = int(unsafe.Sizeof(chunk{}))
	// keptChunks are kept for reuse. Chunks added because of a slow disk are freed again.
	keptChunks = 4 * shards
	// maxText bounds the memory, in bytes, of other records that wait for the disk.
	maxText = 4 * maxLine
)

// chunk is a part of the backlog.
type chunk struct {
	n   int
	ops [chunkOps]Op
}

// shard buffers the operations of some of the workers.
type shard struct {
	mu       sync.Mutex
	cur      *chunk   // being filled
	full     []*chunk // filled before it
	recorded int64    // operations taken
	_        [64]byte // a separate cache line for every mutex
}

// Recorder writes a journal during a run. Its methods are safe for concurrent use.
//
// Op copies its operation into a buffer of its worker's shard. A background goroutine (see writer)
// merges, encodes, compresses and writes the buffers: for the caller, copying costs a quarter of
// encoding.
type Recorder struct {
	journal *journal
	failed  chan struct{}
	wake    chan struct{} // signals a full chunk
	quit    chan struct{} // closed by Close
	done    chan struct{} // closed once everything is written and the file is closed
	stopped atomic.Bool   // closed or failed: records are refused
	shards  [shards]shard

	mu      sync.Mutex // if both are needed, locked after a shard's mutex
	free    []*chunk
	chunks  int    // existing chunks; at most limit
	limit   int    // maxChunks except in tests
	text    []byte // lines of other records, for the writer
	lines   int    // number of these lines
	written int64  // operations flushed out of the process
	refused int64  // records refused
	closing bool
	err     error // the first error
}

// Create creates a journal at path, whose folder must exist, and writes h to it; it sets h.Schema.
// Create fails if the file exists, because a journal is evidence and must not be overwritten.
func Create(path string, h Header) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	r, err := record(f, h, maxChunks)
	if err != nil {
		// A journal without a header cannot be read.
		return nil, errors.Join(err, os.Remove(path))
	}
	return r, nil
}

// record starts a recorder on f. It takes over f, and closes it even if it fails.
func record(f *os.File, h Header, limit int) (*Recorder, error) {
	j, err := begin(f, h)
	if err != nil {
		return nil, fmt.Errorf("history: %w", errors.Join(err, f.Close()))
	}
	r := newRecorder(j, limit)
	go (&writer{r: r}).run()
	return r, nil
}

// newRecorder returns a recorder without a running writer. The limit, in chunks, must be at least
// shards.
func newRecorder(j *journal, limit int) *Recorder {
	r := &Recorder{
		journal: j,
		failed:  make(chan struct{}),
		wake:    make(chan struct{}, 1),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		chunks:  shards,
		limit:   limit,
	}
	for i := range r.shards {
		r.shards[i].cur = new(chunk)
	}
	return r
}

// Op records op. It costs its caller a copy, never waits for the disk and does not allocate once
// the buffers exist. If the disk falls behind by 64 MiB, or after a write error, the operation is
// lost and counted as refused: see Failed and Err.
func (r *Recorder) Op(op Op) {
	s := &r.shards[uint32(op.Worker)%shards]
	s.mu.Lock()
	if r.stopped.Load() || s.cur.n == chunkOps && !r.queueChunk(s) {
		s.mu.Unlock()
		r.refuse()
		return
	}
	s.cur.ops[s.cur.n] = op
	s.cur.n++
	s.recorded++
	s.mu.Unlock()
}

// Sample records s and retains no reference to it.
func (r *Recorder) Sample(s Sample) {
	line, err := encodeSample(s)
	r.line(line, err)
}

// Mark records m.
func (r *Recorder) Mark(m Mark) {
	line, err := encodeMark(m)
	r.line(line, err)
}

// Census records c.
func (r *Recorder) Census(c Census) {
	line, err := encodeCensus(c)
	r.line(line, err)
}

// Probe records p.
func (r *Recorder) Probe(p Probe) {
	line, err := encodeProbe(p)
	r.line(line, err)
}

// Failed returns a channel that is closed at the first error, so that a run can stop instead of
// continuing without evidence. Err returns the error.
func (r *Recorder) Failed() <-chan struct{} { return r.failed }

// Err returns the first error, with the number of records lost, or nil if none are.
func (r *Recorder) Err() error {
	r.mu.Lock()
	err, refused, unwritten := r.err, r.refused, -r.written
	r.mu.Unlock()
	if err == nil {
		return nil
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		unwritten += s.recorded
		s.mu.Unlock()
	}
	return fmt.Errorf("history: %w (%d operations not written, %d records refused)", err, unwritten, refused)
}

// Close writes the remaining records, syncs and closes the file, and returns the first error, as
// Err does. It waits for the disk. Later records are refused. Further calls only return Err.
func (r *Recorder) Close() error {
	r.mu.Lock()
	first := !r.closing
	r.closing = true
	r.stopped.Store(true)
	r.mu.Unlock()
	if first {
		close(r.quit)
	}
	<-r.done
	return r.Err()
}

// queueChunk sets the full chunk of s aside for the writer, and reports whether an empty chunk
// could replace it. The caller holds s.mu.
func (r *Recorder) queueChunk(s *shard) bool {
	next := r.emptyChunk()
	if next == nil {
		r.fail(fmt.Errorf("%s: the disk is too slow: %d MiB of operations are queued", r.name(), r.limit*chunkSize>>20))
		return false
	}
	s.full = append(s.full, s.cur)
	s.cur = next
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return true
}

// emptyChunk returns an empty chunk, or nil if the limit is reached.
func (r *Recorder) emptyChunk() *chunk {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free); n > 0 {
		c := r.free[n-1]
		r.free = r.free[:n-1]
		return c
	}
	// While closing there is no later turn to wait for, so the limit does not apply.
	if r.chunks >= r.limit && !r.closing {
		return nil
	}
	r.chunks++
	return new(chunk)
}

// line passes a line to the writer, or the error of its encoding.
func (r *Recorder) line(line []byte, err error) {
	r.mu.Lock()
	if err == nil && len(r.text)+len(line) > maxText {
		err = fmt.Errorf("the disk is too slow: %d MiB of samples and other records are queued", maxText>>20)
	}
	accepted := err == nil && !r.stopped.Load()
	if accepted {
		r.text = append(r.text, line...)
		r.lines++
	}
	r.mu.Unlock()
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", r.name(), err))
	}
	if !accepted {
		r.refuse()
	}
}

// refuse counts a refused record.
func (r *Recorder) refuse() {
	r.mu.Lock()
	r.refused++
	closing := r.closing
	r.mu.Unlock()
	if closing {
		r.fail(fmt.Errorf("%s: recorded after Close", r.name()))
	}
}

// fail stores the first error and stops the recording.
func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped.Store(true)
	if r.err == nil {
		r.err = err
		close(r.failed)
	}
}

func (r *Recorder) name() string { return r.journal.file.Name() }
