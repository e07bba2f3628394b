package history

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// History is a whole run in memory, the input of signals and the judge. Ops are in the order of
// Ended; samples, marks and censuses in the order of At. Among equal times, the operations of one
// worker, the samples, the marks and the censuses each keep the order in which they were recorded.
type History struct {
	Header  Header
	Ops     []Op
	Samples []Sample
	Marks   []Mark
	Census  []Census
	Probes  []Probe

	// Truncated means that the journal lacks the end that Close writes: the process was killed, the
	// disk was full, or the file was cut or damaged afterwards. All content was recorded; something
	// may be missing at the end.
	Truncated bool
}

// Visitor receives the content of a journal from Each. A nil func skips its kind. Pointers are
// valid until the func returns.
type Visitor struct {
	Op     func(*Op)
	Sample func(*Sample)
	Mark   func(*Mark)
	Census func(*Census)
	Probe  func(*Probe)
}

// Load reads the journal at path into memory, some 80 bytes per operation. It fails as Each does.
func Load(path string) (*History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	return LoadFrom(f)
}

// LoadFrom is Load for an open file.
func LoadFrom(f *os.File) (*History, error) {
	h := new(History)
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	// An operation takes 11 to 16 bytes on disk. Growing step by step would copy each several
	// times, and unused capacity costs no memory; but a large file may be anything, hence the
	// limit.
	h.Ops = make([]Op, 0, min(info.Size()/11, 1<<22))
	h.Header, h.Truncated, err = EachFrom(f, Visitor{
		Op:     func(op *Op) { h.Ops = append(h.Ops, *op) },
		Sample: func(s *Sample) { h.Samples = append(h.Samples, *s) },
		Mark:   func(m *Mark) { h.Marks = append(h.Marks, *m) },
		Census: func(c *Census) { h.Census = append(h.Census, *c) },
		Probe:  func(p *Probe) { h.Probes = append(h.Probes, *p) },
	})
	if err != nil {
		return nil, err
	}
	sortByEnd(h.Ops)
	slices.SortStableFunc(h.Samples, func(a, b Sample) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(h.Marks, func(a, b Mark) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(h.Census, func(a, b Census) int { return cmp.Compare(a.At, b.At) })
	return h, nil
}

// Each reads the journal at path in little memory and passes its content to v, in the order on
// disk, which is nearly chronological; within a batch of some thousand lines, operations come
// before samples and these before marks, censuses and probes.
//
// Only verified content is passed on: of a truncated or damaged journal that is the part before the
// damage, and Each returns truncated and no error. An error, which includes the path, means that
// nothing could be read (no file, not a journal, another schema, or no complete header) or that the
// journal exceeds the bounds: [ErrTooLong].
func Each(path string, v Visitor) (h Header, truncated bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, false, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	return EachFrom(f, v)
}

// EachFrom is Each for an open file.
func EachFrom(f *os.File, v Visitor) (h Header, truncated bool, err error) {
	h, truncated, err = unpack(f, v)
	if err != nil {
		return Header{}, false, fmt.Errorf("history: %s: %w", f.Name(), err)
	}
	return h, truncated, nil
}

// maxWindow accepts journals recompressed with `zstd -19`.
const maxWindow = 8 << 20

func unpack(src io.Reader, v Visitor) (Header, bool, error) {
	disk := &errReader{src: src}
	// Concurrency 1 starts no goroutines.
	unpacker, err := zstd.NewReader(disk, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return Header{}, false, err
	}
	defer unpacker.Close()
	h, truncated, err := read(unpacker, v)
	if disk.err != nil {
		// A disk that cannot be read says nothing about the journal.
		return Header{}, false, disk.err
	}
	return h, truncated, err
}

// errReader keeps the read error of src, so that a disk error is not taken for the end of the
// journal.
type errReader struct {
	src io.Reader
	err error
}

func (f *errReader) Read(p []byte) (int, error) {
	n, err := f.src.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// read reads the lines of a journal and stops at the first invalid one.
func read(src io.Reader, v Visitor) (h Header, truncated bool, err error) {
	in := &lineReader{src: bufio.NewReaderSize(src, 64<<10)}
	first, err := in.line()
	switch {
	case errors.Is(err, zstd.ErrMagicMismatch):
		return h, false, errors.New("not a lockjam journal: not compressed with zstd")
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return h, false, errors.New("not a lockjam journal, or truncated before the end of its header")
	case err != nil:
		return h, false, fmt.Errorf("not a lockjam journal, or damaged: cannot read its first line: %w", err)
	}
	if h, err = decodeHeader(first); err != nil {
		return h, false, err
	}
	b := batch{visit: v, remaining: readBounds}
	b.addToChecksum(first)
	for !b.ended {
		line, err := in.line()
		if err != nil || !b.line(line) {
			truncated = true
			break
		}
	}
	if b.tooLong != nil {
		return h, false, b.tooLong
	}
	if b.batches == 0 {
		return h, false, errors.New("truncated or damaged before the end of its header")
	}
	if !truncated {
		// The end line must be the last, and the stream must have its own checksum.
		_, err = in.src.ReadByte()
		truncated = err != io.EOF
	}
	return h, truncated, nil
}

// lineReader reads lines of at most maxLine bytes. It uses little memory as long as they are short.
type lineReader struct {
	src  *bufio.Reader
	long []byte
}

var errLongLine = fmt.Errorf("it is longer than %d bytes", maxLine)

// line returns the next line including its newline. It is valid until the next call.
func (l *lineReader) line() ([]byte, error) {
	part, err := l.src.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return part, err
	}
	l.long = append(l.long[:0], part...)
	for err == bufio.ErrBufferFull && len(l.long) <= maxLine {
		part, err = l.src.ReadSlice('\n')
		l.long = append(l.long, part...)
	}
	if len(l.long) > maxLine {
		return nil, errLongLine
	}
	return l.long, err
}

// batch is the lines that have been read but not yet verified.
type batch struct {
	visit   Visitor
	tenants tenants
	ops     []Op
	samples []Sample
	marks   []Mark
	census  []Census
	probes  []Probe
	lines   int64
	opLines int64
	crc     uint32

	remaining bounds
	tooLong   error // set once the bounds are exceeded

	batches int64 // verified
	total   int64 // operations in verified batches
	ended   bool  // the end line was read
}

func (b *batch) addToChecksum(line []byte) {
	b.crc = crc32.Update(b.crc, castagnoli, line)
	b.lines++
}

// line processes the next line, including its newline, and reports whether it is valid.
func (b *batch) line(line []byte) bool {
	text := line[:len(line)-1]
	if len(text) == 0 || b.lines >= maxBatch {
		return false
	}
	if text[0] != '[' {
		return b.object(line)
	}
	b.addToChecksum(line)
	b.opLines++
	if b.tooLong = b.remaining.spend(1, opCost); b.tooLong != nil {
		return false
	}
	if b.visit.Op == nil {
		return true
	}
	b.ops = append(b.ops, Op{})
	return b.tenants.readOp(text, &b.ops[len(b.ops)-1])
}

// censusPrefix is the beginning of a census line.
var censusPrefix = []byte(`{"census":`)

func (b *batch) object(line []byte) bool {
	// Censuses are long, and most readers skip them.
	if b.visit.Census == nil && bytes.HasPrefix(line, censusPrefix) {
		b.addToChecksum(line)
		return true
	}
	if b.tooLong = b.remaining.spend(0, costOf(line)); b.tooLong != nil {
		return false
	}
	var l objectLine
	if json.Unmarshal(line, &l) != nil {
		return false
	}
	if b.tooLong = b.remaining.spend(0, entryCost*l.entries()); b.tooLong != nil {
		return false
	}
	switch {
	case l.Sample != nil:
		s, ok := decodeSample(l.Sample)
		b.samples = append(b.samples, s)
		b.addToChecksum(line)
		return ok
	case l.Mark != nil:
		m, ok := decodeMark(l.Mark)
		b.marks = append(b.marks, m)
		b.addToChecksum(line)
		return ok
	case l.Census != nil:
		c, ok := decodeCensus(l.Census)
		b.census = append(b.census, c)
		b.addToChecksum(line)
		return ok
	case l.Probe != nil:
		p, ok := decodeProbe(l.Probe)
		b.probes = append(b.probes, p)
		b.addToChecksum(line)
		return ok
	case l.Batch != nil:
		return b.verify(l.Batch)
	case l.End != nil:
		b.ended = b.lines == 0 && l.End.Ops == b.total
		return b.ended
	}
	return false
}

// verify checks a closed batch against its checksum and passes its content on.
func (b *batch) verify(l *batchLine) bool {
	if l.Lines != b.lines || l.CRC32C != b.crc {
		return false
	}
	for i := range b.ops {
		b.visit.Op(&b.ops[i])
	}
	for i := range b.samples {
		if b.visit.Sample != nil {
			b.visit.Sample(&b.samples[i])
		}
	}
	for i := range b.marks {
		if b.visit.Mark != nil {
			b.visit.Mark(&b.marks[i])
		}
	}
	for i := range b.census {
		if b.visit.Census != nil {
			b.visit.Census(&b.census[i])
		}
	}
	for i := range b.probes {
		if b.visit.Probe != nil {
			b.visit.Probe(&b.probes[i])
		}
	}
	b.batches++
	b.total += b.opLines
	b.ops, b.samples, b.marks = b.ops[:0], b.samples[:0], b.marks[:0]
	b.census, b.probes = b.census[:0], b.probes[:0]
	b.lines, b.opLines, b.crc = 0, 0, 0
	return true
}

// sortByEnd sorts ops by Ended, stably. A journal is nearly in order, since an operation is
// recorded as it ends: operations out of place are so by little, and insertion is cheaper than
// sorting. A journal in disorder is sorted.
func sortByEnd(ops []Op) {
	budget := 16 * len(ops) // operations that may be moved before sorting is cheaper
	for i := 1; i < len(ops); i++ {
		if ops[i-1].Ended <= ops[i].Ended {
			continue
		}
		op := ops[i]
		at, _ := slices.BinarySearchFunc(ops[:i], op.Ended, func(o Op, end time.Duration) int {
			if o.Ended <= end {
				return -1
			}
			return 1
		})
		if budget -= i - at; budget < 0 {
			slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Ended, b.Ended) })
			return
		}
		copy(ops[at+1:i+1], ops[at:i])
		ops[at] = op
	}
}
