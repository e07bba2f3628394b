package history

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// journal is a journal file that is being written.
type journal struct {
	file    *os.File
	encoder *zstd.Encoder
	tenants tenants
	buf     []byte
	lines   int64 // in the open batch
	crc     uint32
}

// begin writes the header to f and flushes it: from then on the file is readable.
func begin(f *os.File, h Header) (*journal, error) {
	header, err := encodeHeader(h)
	if err != nil {
		return nil, err
	}
	// One goroutine, little memory. The fastest level compresses these lines as well as the
	// default.
	encoder, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, encoder: encoder}
	if err := j.put(header, 1); err != nil {
		return nil, err
	}
	return j, j.flush()
}

// write adds p's lines to the journal.
func (j *journal) write(p *pending) error {
	if p.lines > 0 {
		if err := j.put(p.text, p.lines); err != nil {
			return err
		}
	}
	// Merges the shards by Ended: ordered lines are smaller, and faster for readers to sort.
	var chunks, next [shards]int
	var heads [shards]*Op
	advance := func(i int) {
		run := p.runs[i]
		for chunks[i] < len(run) && next[i] == run[chunks[i]].n {
			chunks[i], next[i] = chunks[i]+1, 0
		}
		heads[i] = nil
		if chunks[i] < len(run) {
			heads[i] = &run[chunks[i]].ops[next[i]]
			next[i]++
		}
	}
	for i := range heads {
		advance(i)
	}
	lines := 0
	j.buf = j.buf[:0]
	for {
		first := -1
		for i, op := range heads {
			if op != nil && (first < 0 || op.Ended < heads[first].Ended) {
				first = i
			}
		}
		if first < 0 {
			return j.put(j.buf, lines)
		}
		j.buf = j.tenants.appendOp(j.buf, heads[first])
		advance(first)
		if lines++; lines == chunkOps {
			if err := j.put(j.buf, lines); err != nil {
				return err
			}
			j.buf, lines = j.buf[:0], 0
		}
	}
}

// put adds lines to the open batch, which it closes once it is long enough.
func (j *journal) put(text []byte, lines int) error {
	if _, err := j.encoder.Write(text); err != nil {
		return err
	}
	j.crc = crc32.Update(j.crc, castagnoli, text)
	j.lines += int64(lines)
	if j.lines < batchLines {
		return nil
	}
	return j.seal()
}

// seal closes the batch unless it is empty.
func (j *journal) seal() error {
	if j.lines == 0 {
		return nil
	}
	line, err := encodeLine(objectLine{Batch: &batchLine{Lines: j.lines, CRC32C: j.crc}})
	if err != nil {
		return err
	}
	j.lines, j.crc = 0, 0
	_, err = j.encoder.Write(line)
	return err
}

// flush closes the batch and flushes it out of the process.
func (j *journal) flush() error {
	if err := j.seal(); err != nil {
		return err
	}
	return j.encoder.Flush()
}

// close writes the remaining lines and, if the journal is complete, the end line. It always closes
// the file.
func (j *journal) close(complete bool, ops int64) error {
	err := j.flush()
	if err == nil && complete {
		var line []byte
		if line, err = encodeLine(objectLine{End: &endLine{Ops: ops}}); err == nil {
			_, err = j.encoder.Write(line)
		}
	}
	if err == nil {
		err = j.encoder.Close()
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err == nil {
		err = syncDir(os.Open(filepath.Dir(j.file.Name())))
	}
	return errors.Join(err, j.file.Close())
}
