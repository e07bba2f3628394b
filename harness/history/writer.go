package history

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// work is what the recorder has for the journal.
type work struct {
	runs  [shards][]*chunk // one of each shard, each nearly in the order of Ended
	taken int64            // operations that have been in runs so far
	text  []byte           // lines of samples and marks
	texts int              // how many
}

// journal is a file that is being written.
type journal struct {
	file    *os.File
	packer  *zstd.Encoder
	tenants tenants
	buf     []byte
	lines   int64 // of the open batch
	crc     uint32
}

// begin writes the header to f and out of the process: from then on the file can be read.
func begin(f *os.File, h Header) (*journal, error) {
	header, err := encodeHeader(h)
	if err != nil {
		return nil, err
	}
	// One goroutine, little memory. The fastest level packs these lines as well as the default one does.
	packer, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, packer: packer}
	if err := j.put(header, 1); err != nil {
		return nil, err
	}
	return j, j.flush()
}

// write adds w's lines to the journal.
func (j *journal) write(w *work) error {
	if w.texts > 0 {
		if err := j.put(w.text, w.texts); err != nil {
			return err
		}
	}
	// What the shards took apart is put together again, by Ended: lines in order are smaller, and quicker to sort for who reads them.
	var chunks, next [shards]int
	var heads [shards]*Op
	advance := func(i int) {
		run := w.runs[i]
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

// put adds so many lines to the open batch.
func (j *journal) put(text []byte, lines int) error {
	if _, err := j.packer.Write(text); err != nil {
		return err
	}
	j.crc = crc32.Update(j.crc, castagnoli, text)
	j.lines += int64(lines)
	if j.lines < batchLines {
		return nil
	}
	return j.seal()
}

// seal closes the batch, unless it is empty.
func (j *journal) seal() error {
	if j.lines == 0 {
		return nil
	}
	line, err := encodeLine(otherLine{Batch: &batchLine{Lines: j.lines, CRC32C: j.crc}})
	if err != nil {
		return err
	}
	j.lines, j.crc = 0, 0
	_, err = j.packer.Write(line)
	return err
}

// flush closes the batch and writes it out of the process.
func (j *journal) flush() error {
	if err := j.seal(); err != nil {
		return err
	}
	return j.packer.Flush()
}

// close writes what is left and, if the journal is whole, its last line. It closes the file even where that fails.
func (j *journal) close(whole bool, ops int64) error {
	err := j.flush()
	if err == nil && whole {
		var line []byte
		if line, err = encodeLine(otherLine{End: &endLine{Ops: ops}}); err == nil {
			_, err = j.packer.Write(line)
		}
	}
	if err == nil {
		err = j.packer.Close()
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err == nil {
		err = syncDir(os.Open(filepath.Dir(j.file.Name())))
	}
	return errors.Join(err, j.file.Close())
}
