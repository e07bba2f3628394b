package history

import "time"

// pending is the records that the writer has taken over from the recorder.
type pending struct {
	runs  [shards][]*chunk // one per shard, each nearly in the order of Ended
	taken int64            // total of operations in runs so far
	text  []byte           // lines of other records
	lines int              // number of these lines
}

// writer is the background part of a Recorder, and the only one that touches the journal.
type writer struct {
	r *Recorder
	pending
}

// run writes records until the recorder is closed.
func (w *writer) run() {
	r := w.r
	defer close(r.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.wake:
			w.write(false)
		case <-tick.C:
			w.write(true)
		case <-r.quit:
			w.write(true)
			w.finish()
			return
		}
	}
}

// write writes the records that wait, and with flush also flushes them out of the process.
func (w *writer) write(flush bool) {
	r := w.r
	w.collect()
	err := r.journal.write(&w.pending)
	if err == nil && flush {
		err = r.journal.flush()
	}
	if err != nil {
		r.fail(err)
	}
	w.recycle()
	if err == nil && flush {
		r.mu.Lock()
		r.written = w.taken
		r.mu.Unlock()
	}
}

// collect moves the recorded operations and lines into w.pending. It locks all shards at once, for
// some microseconds: everything that it leaves behind is then later than everything that it takes,
// so a journal that ends here has no gaps.
func (w *writer) collect() {
	r := w.r
	for i := range r.shards {
		r.shards[i].mu.Lock()
	}
	for i := range r.shards {
		s := &r.shards[i]
		if s.cur.n > 0 {
			// If no chunk is free, the disk is behind; this chunk follows later.
			if next := r.emptyChunk(); next != nil {
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
	w.lines, r.lines = r.lines, 0
}

// recycle returns w's chunks to the recorder.
func (w *writer) recycle() {
	r := w.r
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

// finish closes the journal. Only a journal without losses gets an end line.
func (w *writer) finish() {
	r := w.r
	r.mu.Lock()
	complete, ops := r.err == nil, r.written
	r.mu.Unlock()
	if err := r.journal.close(complete, ops); err != nil {
		r.fail(err)
	}
}
