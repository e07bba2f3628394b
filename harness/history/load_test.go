package history

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// content is the content of a journal, in the order in which it is read.
type content struct {
	ops     []Op
	samples []Sample
	marks   []Mark
}

func (c *content) visitor() Visitor {
	return Visitor{
		Op:     func(op *Op) { c.ops = append(c.ops, *op) },
		Sample: func(s *Sample) { c.samples = append(c.samples, *s) },
		Mark:   func(m *Mark) { c.marks = append(c.marks, *m) },
	}
}

// prefixOf reports whether c is a prefix of all.
func (c *content) prefixOf(all *content) bool {
	return len(c.ops) <= len(all.ops) && slices.Equal(c.ops, all.ops[:len(c.ops)]) &&
		len(c.marks) <= len(all.marks) && slices.Equal(c.marks, all.marks[:len(c.marks)]) &&
		len(c.samples) <= len(all.samples) &&
		(len(c.samples) == 0 || reflect.DeepEqual(c.samples, all.samples[:len(c.samples)]))
}

// small returns the file content of a journal of a few batches, and what it records.
func small(t testing.TB) (packed []byte, all *content) {
	t.Helper()
	path := tempJournal(t)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	j, err := begin(f, Header{Scenario: "small", Arm: "none"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder(j, maxChunks)
	w := writer{r: r}
	all = new(content)
	for i, op := range realistic(60, 96, 4) {
		r.Op(op)
		if i%20 == 19 {
			r.Sample(Sample{At: op.Ended, Server: &Server{RunID: "a", Connected: int64(i)}})
			r.Mark(Mark{At: op.Ended, Kind: NoteMark, Name: fmt.Sprint(i)})
			w.write(true)
		}
	}
	w.finish()
	if r.err != nil {
		t.Fatal(r.err)
	}
	if packed, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	_, truncated, err := unpack(bytes.NewReader(packed), all.visitor())
	if err != nil || truncated || len(all.ops) != 60 || len(all.samples) != 3 || len(all.marks) != 3 {
		t.Fatalf("%v, truncated %t, %+v", err, truncated, all)
	}
	return packed, all
}

func TestCutOffAnywhere(t *testing.T) {
	packed, all := small(t)
	dir := t.TempDir()
	readable, last := 0, 0
	for n := range packed {
		path := filepath.Join(dir, "cut")
		if err := os.WriteFile(path, packed[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		var c content
		_, truncated, err := Each(path, c.visitor())
		switch {
		case err != nil && readable > 0:
			t.Fatalf("%d bytes: %v, but fewer can be read", n, err)
		case err != nil && !strings.Contains(err.Error(), path):
			t.Fatalf("%d bytes: the error does not name the file: %v", n, err)
		case err != nil:
			continue
		case !truncated:
			t.Fatalf("%d bytes of %d: not truncated", n, len(packed))
		case !c.prefixOf(all):
			t.Fatalf("%d bytes: yields content that was not recorded: %+v", n, c)
		case len(c.ops) < last:
			t.Fatalf("%d bytes: %d operations, but %d with fewer", n, len(c.ops), last)
		}
		readable++
		last = len(c.ops)
		h, err := Load(path)
		if err != nil || !h.Truncated || len(h.Ops) != len(c.ops) || h.Header.Scenario != "small" {
			t.Fatalf("%d bytes: Load: %v, %+v", n, err, h)
		}
	}
	if last != len(all.ops) {
		t.Errorf("without its last byte, the journal yields %d operations of %d", last, len(all.ops))
	}
}

func TestDamagedAnywhere(t *testing.T) {
	packed, all := small(t)
	noticed := 0
	for n := range packed {
		for _, flip := range []byte{1, 0x10, 0x80, 0xff} {
			bad := bytes.Clone(packed)
			bad[n] ^= flip
			var c content
			h, truncated, err := unpack(bytes.NewReader(bad), c.visitor())
			if err != nil {
				noticed++
				continue
			}
			if !c.prefixOf(all) || h.Scenario != "small" {
				t.Fatalf("byte %d ^ %#x: yields content that was not recorded: %+v %+v", n, flip, h, c)
			}
			if truncated {
				noticed++
			} else if len(c.ops) != len(all.ops) {
				t.Fatalf("byte %d ^ %#x: %d operations of %d, and not truncated", n, flip, len(c.ops), len(all.ops))
			}
		}
	}
	// Some bits of a frame's header do not affect its content.
	if total := 4 * len(packed); noticed < total*99/100 {
		t.Errorf("noticed %d of %d damages", noticed, total)
	}
}

// pack compresses lines as a journal does.
func pack(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNoJournal(t *testing.T) {
	header := `{"schema":"lockjam/history/v1"}` + "\n"
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"an empty file": {nil, "not a lockjam journal, or truncated before the end of its header"},
		"text": {[]byte("Lorem ipsum dolor sit amet\n"),
			"not a lockjam journal: not compressed with zstd"},
		"a journal unpacked": {[]byte(header), "not a lockjam journal: not compressed with zstd"},
		"text in zstd": {pack(t, "Lorem ipsum\n"),
			"not a lockjam journal: its first line is not a journal header"},
		"other JSON in zstd": {pack(t, `{"scheme":1}`+"\n"),
			"not a lockjam journal: its first line is not a journal header"},
		"an array in zstd": {pack(t, "[1,2]\n"), "not a lockjam journal: its first line is not a journal header"},
		"a schema of numbers": {pack(t, `{"schema":1}`+"\n"),
			"not a lockjam journal: its first line is not a journal header"},
		"a bad header": {pack(t, `{"schema":"lockjam/history/v1","seed":-1}`+"\n"),
			"invalid header"},
		"no newline": {pack(t, strings.TrimSpace(header)),
			"not a lockjam journal, or truncated before the end of its header"},
		"an endless line": {pack(t, strings.Repeat("x", 2*maxLine)), "cannot read its first line"},
		"a header alone":  {pack(t, header), "damaged before the end of its header"},
		"a header not checked": {pack(t, header+`{"batch":{"lines":1,"crc32c":1}}`+"\n"),
			"damaged before the end of its header"},
		"another schema": {pack(t, `{"schema":"lockjam/history/v2","more":true}`+"\n"),
			`its schema is "lockjam/history/v2", but this version of lockjam reads "lockjam/history/v1"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempJournal(t)
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := Load(path)
			if err == nil || h != nil || !strings.Contains(err.Error(), path) ||
				!strings.Contains(err.Error(), c.says) {
				t.Errorf("%v\nwant %s", err, c.says)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := Load(missing); !os.IsNotExist(err) && !strings.Contains(fmt.Sprint(err), missing) {
		t.Error(err)
	}
	// An unreadable disk is not a truncated journal.
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
}

// Batches before an error are read, whatever the error is.
func TestReadablePrefix(t *testing.T) {
	seal := func(lines string) string {
		return fmt.Sprintf("%s{\"batch\":{\"lines\":%d,\"crc32c\":%d}}\n", lines,
			strings.Count(lines, "\n"), crc32.Checksum([]byte(lines), castagnoli))
	}
	const (
		op     = "[9,1,1,1,1,1,1,1,1,0,0,1,1,1,1]\n"
		mark   = `{"mark":{"at_us":1,"kind":"note"}}` + "\n"
		sample = `{"sample":{"at_us":1,"took_us":1,"swarm":{"errors":{"refused":2}}}}` + "\n"
		end    = `{"end":{"ops":1}}` + "\n"
	)
	header := `{"schema":"lockjam/history/v1"}` + "\n"
	good := seal(header) + seal(op+mark+sample)
	for name, c := range map[string]struct {
		tail      string
		truncated bool
	}{
		"all in order":            {end, false},
		"an empty batch":          {seal("") + end, false},
		"no end":                  {"", true},
		"an end without newline":  {strings.TrimSpace(end), true},
		"an end that miscounts":   {`{"end":{"ops":2}}` + "\n", true},
		"an end in a batch":       {mark + end, true},
		"more after the end":      {end + seal(mark), true},
		"a batch not closed":      {op + mark, true},
		"a batch that miscounts":  {mark + `{"batch":{"lines":2,"crc32c":0}}` + "\n", true},
		"a batch with a bad sum":  {op + `{"batch":{"lines":1,"crc32c":0}}` + "\n" + end, true},
		"an empty line":           {seal("\n") + end, true},
		"half a line":             {seal(op) + "[9,1,1", true},
		"no JSON":                 {seal("{\n") + end, true},
		"an unknown line":         {seal(`{"span":{}}`+"\n") + end, true},
		"a bad operation":         {seal("[1,2,3]\n") + end, true},
		"an unknown class":        {seal(strings.Replace(sample, "refused", "amused", 1)) + end, true},
		"a mark beyond all time":  {seal(`{"mark":{"at_us":9223372036854776,"kind":"x"}}`+"\n") + end, true},
		"a sample that took ages": {seal(`{"sample":{"took_us":9223372036854776}}`+"\n") + end, true},
		"an endless batch":        {strings.Repeat(op, maxBatch+1), true},
		"an endless line":         {"[" + strings.Repeat("9", maxLine) + "]\n" + end, true},
	} {
		t.Run(name, func(t *testing.T) {
			var all content
			h, truncated, err := unpack(bytes.NewReader(pack(t, good+c.tail)), all.visitor())
			if err != nil || truncated != c.truncated || h.Schema != Schema {
				t.Fatalf("%v, truncated %t, %+v", err, truncated, h)
			}
			if len(all.ops) < 1 || len(all.marks) < 1 || len(all.samples) < 1 ||
				all.samples[0].Swarm.Errors[Refused] != 2 {
				t.Errorf("%+v", all)
			}
		})
	}
}

// A visitor with only Mark receives all marks and the same result for truncated.
func TestEachSkipsNilFuncs(t *testing.T) {
	packed, all := small(t)
	var marks []Mark
	_, truncated, err := unpack(bytes.NewReader(packed), Visitor{Mark: func(m *Mark) { marks = append(marks, *m) }})
	if err != nil || truncated || !slices.Equal(marks, all.marks) {
		t.Errorf("%v, truncated %t, %+v", err, truncated, marks)
	}
	if _, truncated, err := unpack(bytes.NewReader(packed), Visitor{}); err != nil || truncated {
		t.Errorf("nothing asked: %v, truncated %t", err, truncated)
	}
}

func TestSortByEnd(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for name, end := range map[string]func(i int) time.Duration{
		"in order":     func(i int) time.Duration { return time.Duration(i / 3) },
		"nearly":       func(i int) time.Duration { return time.Duration(i + rnd.IntN(20)) },
		"in disorder":  func(int) time.Duration { return time.Duration(rnd.IntN(500)) },
		"backwards":    func(i int) time.Duration { return time.Duration(-i / 2) },
		"all together": func(int) time.Duration { return time.Second },
	} {
		ops := make([]Op, 3000)
		for i := range ops {
			ops[i] = Op{Fence: int64(i), Ended: end(i)}
		}
		want := slices.Clone(ops)
		slices.SortStableFunc(want, func(a, b Op) int { return cmp.Compare(a.Ended, b.Ended) })
		sortByEnd(ops)
		if !slices.Equal(ops, want) {
			t.Errorf("%s: not sorted, or not stably", name)
		}
	}
}

// FuzzRead: lines of any kind do no harm, and reading them again gives the same result.
func FuzzRead(f *testing.F) {
	packed, _ := small(f)
	d, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	lines, err := io.ReadAll(d)
	d.Close()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(lines)
	f.Add(lines[:len(lines)/2])
	f.Add([]byte(`{"schema":"lockjam/history/v1"}` + "\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		var c content
		h, truncated, err := read(bytes.NewReader(lines), c.visitor())
		if err != nil && len(c.ops)+len(c.samples)+len(c.marks) > 0 {
			t.Fatalf("%v, but yields %+v", err, c)
		}
		var again content
		h2, truncated2, err2 := read(bytes.NewReader(lines), again.visitor())
		if h != h2 || truncated != truncated2 || (err == nil) != (err2 == nil) || !reflect.DeepEqual(c, again) {
			t.Fatal("the second read has a different result")
		}
	})
}

// FuzzUnpack: a damaged file yields nothing that was not recorded.
func FuzzUnpack(f *testing.F) {
	packed, all := small(f)
	f.Add(packed)
	f.Add(packed[:len(packed)/2])
	f.Fuzz(func(t *testing.T, packed []byte) {
		var c content
		if _, _, err := unpack(bytes.NewReader(packed), c.visitor()); err == nil && len(c.ops) > 0 && !c.prefixOf(all) {
			t.Fatalf("yields content that was not recorded: %+v", c)
		}
	})
}

// FuzzReadOp: every line accepted as an operation is preserved by writing and reading it again.
func FuzzReadOp(f *testing.F) {
	f.Add([]byte("[153344,7,1,612,9405,21,10,37,1,0,0,1,25006,16,291]"))
	f.Add([]byte("[900,-1,-1,-1,890,0,5,1,2,0,0,0,0,0]"))
	f.Add([]byte("[-9223372036854775,-2,-1,9,0,-2147483648,2147483647,2,0,9,0," +
		"-9223372036854775808,9223372036854775807,0]"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var op, again Op
		if !new(tenants).readOp(line, &op) {
			return
		}
		written := new(tenants).appendOp(nil, &op)
		if !new(tenants).readOp(written[:len(written)-1], &again) || again != op {
			t.Fatalf("%s is read as %+v, written as %s, read as %+v", line, op, written, again)
		}
	})
}
