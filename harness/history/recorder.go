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
	// flushEvery is short of 250 ms, the most that a killed process may lose.
	flushEvery = 200 * time.Millisecond

	// shards keep workers out of each other's way. One buffer for all costs as little on an idle machine, but on a busy one, where the holder of its mutex may be descheduled, half a microsecond per operation.
	shards   = 8
	chunkOps = 512 // operations that a shard hands over together

	// maxBacklog bounds what waits for the disk, in bytes of memory: some 800,000 operations.
	maxBacklog = 64 << 20
	maxChunks  = maxBacklog / chunkSize
	chunkSize  = int(unsafe.Sizeof(chunk{}))
	// keptChunks stay for reuse. What a slow disk made us add is let go again.
	keptChunks = 4 * shards
	// maxText bounds the samples and marks that wait for the disk, in bytes.
	maxText = 4 * maxLine
)

// chunk is a piece of the backlog.
type chunk struct {
	n   int
	ops [chunkOps]Op
}

// shard is where some of the workers leave their operations.
type shard struct {
	mu       sync.Mutex
	cur      *chunk   // being filled
	full     []*chunk // filled before it
	recorded int64    // operations taken
	_        [64]byte // a cache line of its own for every mutex
}

// Recorder writes a journal while the run goes on. All its methods may be called from many goroutines.
//
// Op copies its operation into a buffer of its worker's shard. A goroutine of the recorder's own merges, encodes, packs and writes what is there: for the caller, copying costs a quarter of encoding.
type Recorder struct {
	journal *journal
	failed  chan struct{}
	wake    chan struct{} // a chunk is full
	quit    chan struct{} // closed by Close
	done    chan struct{} // closed when all is written and the file is closed
	stopped atomic.Bool   // closed or failed: nothing more is taken
	shards  [shards]shard

	mu      sync.Mutex // taken after a shard's, where both are needed
	free    []*chunk
	chunks  int    // that exist; at most limit
	limit   int    // maxChunks, but in tests
	text    []byte // lines of samples and marks, for the writer
	texts   int    // how many
	written int64  // operations that are out of the process
	refused int64  // operations, samples and marks that were not taken
	closing bool
	err     error // the first
}

// Create makes a journal at path, whose folder must exist, and writes h to it; h.Schema is filled in. A journal is evidence: where there is a file already, Create leaves it alone and fails.
func Create(path string, h Header) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	r, err := record(f, h, maxChunks)
	if err != nil {
		// Nobody could read it.
		return nil, errors.Join(err, os.Remove(path))
	}
	return r, nil
}

// record starts a recorder on f, which it closes, also when it fails.
func record(f *os.File, h Header, limit int) (*Recorder, error) {
	j, err := begin(f, h)
	if err != nil {
		return nil, fmt.Errorf("history: %w", errors.Join(err, f.Close()))
	}
	r := newRecorder(j, limit)
	go r.run()
	return r, nil
}

// newRecorder makes a recorder without its writer. The limit, in chunks, must be shards or more.
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

// Op records op. It costs its caller a copy, never waits for the disk and allocates nothing once the buffers are there. When the disk falls so far behind that 64 MiB wait for it, or after a write error, the operation is lost, and counted so: see Failed and Err.
func (r *Recorder) Op(op Op) {
	s := &r.shards[uint32(op.Worker)%shards]
	s.mu.Lock()
	if r.stopped.Load() || s.cur.n == chunkOps && !r.handOver(s) {
		s.mu.Unlock()
		r.refuse()
		return
	}
	s.cur.ops[s.cur.n] = op
	s.cur.n++
	s.recorded++
	s.mu.Unlock()
}

// Sample records s, of which it keeps nothing.
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

// Failed is closed at the first error, so that a run can stop rather than go on without its evidence. Err says what it was.
func (r *Recorder) Failed() <-chan struct{} { return r.failed }

// Err returns the first error and what it cost; nil as long as nothing is lost.
func (r *Recorder) Err() error {
	r.mu.Lock()
	err, refused, waiting := r.err, r.refused, -r.written
	r.mu.Unlock()
	if err == nil {
		return nil
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		waiting += s.recorded
		s.mu.Unlock()
	}
	return fmt.Errorf("history: %w (%d operations not written, %d records refused)", err, waiting, refused)
}

// Close writes what is left, syncs and closes the file, and returns the first error of all, as Err does. It waits for the disk. What is recorded after it is refused. Closing again changes nothing and returns Err.
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

// handOver sets the full chunk of s aside for the writer, and reports whether there was another to go on with. The caller holds the lock of s.
func (r *Recorder) handOver(s *shard) bool {
	next := r.spare()
	if next == nil {
		r.fail(fmt.Errorf("%s: the disk is too slow: %d MiB wait for it", r.name(), r.limit*chunkSize>>20))
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

// spare returns an empty chunk, or nil when no more may be made.
func (r *Recorder) spare() *chunk {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free); n > 0 {
		c := r.free[n-1]
		r.free = r.free[:n-1]
		return c
	}
	// At the very end there is no later turn to wait for.
	if r.chunks >= r.limit && !r.closing {
		return nil
	}
	r.chunks++
	return new(chunk)
}

// line hands a sample's or a mark's line to the writer.
func (r *Recorder) line(line []byte, err error) {
	r.mu.Lock()
	if err == nil && len(r.text)+len(line) > maxText {
		err = fmt.Errorf("the disk is too slow: %d MiB of samples and marks wait for it", maxText>>20)
	}
	taken := err == nil && !r.stopped.Load()
	if taken {
		r.text = append(r.text, line...)
		r.texts++
	}
	r.mu.Unlock()
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", r.name(), err))
	}
	if !taken {
		r.refuse()
	}
}

// refuse counts a record that was not taken.
func (r *Recorder) refuse() {
	r.mu.Lock()
	r.refused++
	closing := r.closing
	r.mu.Unlock()
	if closing {
		r.fail(fmt.Errorf("%s: recorded after Close", r.name()))
	}
}

// fail keeps the first error and stops the recording.
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

// run is the writer: the only one that touches the journal.
func (r *Recorder) run() {
	defer close(r.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var w work
	for {
		select {
		case <-r.wake:
			r.write(&w, false)
		case <-tick.C:
			r.write(&w, true)
		case <-r.quit:
			r.write(&w, true)
			r.end()
			return
		}
	}
}

// write writes what waits, with flush also out of the process.
func (r *Recorder) write(w *work, flush bool) {
	r.take(w)
	err := r.journal.write(w)
	if err == nil && flush {
		err = r.journal.flush()
	}
	if err != nil {
		r.fail(err)
	}
	r.giveBack(w)
	if err == nil && flush {
		r.mu.Lock()
		r.written = w.taken
		r.mu.Unlock()
	}
}

// take moves what waits into w. It holds all shards at once, for some microseconds: what it leaves behind is then later than what it takes, and a journal that ends here has no holes.
func (r *Recorder) take(w *work) {
	for i := range r.shards {
		r.shards[i].mu.Lock()
	}
	for i := range r.shards {
		s := &r.shards[i]
		if s.cur.n > 0 {
			// With none to spare it is the disk that is behind: the chunk's turn will come.
			if next := r.spare(); next != nil {
				s.full = append(s.full, s.cur)
				s.cur = next
			}
		}
		w.runs[i], s.full = s.full, w.runs[i][:0]
	}
	for i := range r.shards {
		r.shards[i].mu.Unlock()
	}
	for _, run := range w.runs {
		for _, c := range run {
			w.taken += int64(c.n)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w.text, r.text = r.text, w.text[:0]
	w.texts, r.texts = r.texts, 0
}

// giveBack frees w's chunks.
func (r *Recorder) giveBack(w *work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range w.runs {
		for i, c := range run {
			run[i] = nil
			if len(r.free) >= keptChunks {
				r.chunks--
				continue
			}
			c.n = 0
			r.free = append(r.free, c)
		}
	}
}

// end closes the journal. Only a journal with nothing missing gets a last line.
func (r *Recorder) end() {
	r.mu.Lock()
	whole, ops := r.err == nil, r.written
	r.mu.Unlock()
	if err := r.journal.close(whole, ops); err != nil {
		r.fail(err)
	}
}
