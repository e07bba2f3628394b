package sampler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
)

func TestMonitorLine(t *testing.T) {
	const head = `+1339518083.107412 [0 127.0.0.1:60866] `
	for _, test := range []struct {
		why                          string
		lines                        []string
		commands, attempts, releases int64
		stuck                        int64
		lock                         string
	}{
		{"commands in any case, by any client", []string{
			head + `"SET" "lock:a" "tok" "NX"`,
			`+1.2 [0 lua] "sEt" "lock:a"`,
			`+1.2 [15 [::1]:6379] "setnx" "lock:a" "1"`,
			`+1.2 [0 unix:/run/redis [0].sock] "Set" "lock:a" "1"`,
		}, 4, 4, 0, 4, "lock:a"},
		{"a lock that was released once is not stuck", []string{
			head + `"SET" "lock:a" "1"`, head + `"SET" "lock:a" "1"`, head + `"unlink" "lock:a"`, head +
				`"SET" "lock:a" "1"`,
			head + `"SET" "lock:b" "1"`,
		}, 5, 4, 1, 1, "lock:b"},
		{"one release for every key", []string{head + `"DEL" "x" "lock:a" "lock:b" "y" "lock:a"`}, 1, 0, 3, 0, ""},
		{"of equals, the first by name",
			[]string{head + `"SET" "lock:b" ""`, head + `"SET" "lock:a" ""`, head + `"SET" "lock:c" ""`}, 3, 3, 0, 1,
			"lock:a"},
		{"other commands, other keys", []string{
			head + `"GET" "lock:a"`, head + `"SET" "clock:a" "1"`, head + `"DEL" "lock"`, head +
				`"EVAL" "return redis.call('SET')" "1" "lock:a"`,
			head + `"PING"`, head + `"SET"`, head + `"SETEX" "lock:a" "1" "1"`, head + `"SETS" "lock:a"`, head +
				`"(redacted)"`,
		}, 9, 0, 0, 0, ""},
		{"escapes", []string{head + `"SET" "lock:\"\\\n\r\t\a\b\x00\xff\x5A" "1"`}, 1, 1, 0, 1, `lock:"\?????` + `??Z`},
		{"an escaped name is the same name", []string{head + `"SET" "lock:\x61" "1"`, head + `"SET" "loc\k:a" "1"`}, 2,
			2, 0, 2, "lock:a"},
		{"a quote that is escaped ends nothing",
			[]string{head + `"SET" "x\" \"lock:a" "1"`, head + `"SET" "x\\" "lock:a"`}, 2, 0, 0, 0, ""},
		{"broken lines are no commands", []string{
			"", "+", "+1", "+OK", head, head + `"`, head + `"SET`, head + `"SET\"`, head + `"SET\`, head + `SET lock:a`,
			`+1 [0 lua]"SET" "lock:a"`,
		}, 0, 0, 0, 0, ""},
		{"of a line that breaks off, what was whole", []string{
			head + `"SET" "lock:a`, head + `"SET" "lock:a\x`, head + `"SET" "lock:a\xz1`, head +
				`"DEL" "lock:a" "lock:b" "loc`, head + `"SET""lock:a"`,
		}, 5, 0, 2, 0, ""},
		{"hexadecimal that is none", []string{head + `"SET" "lock:\xzz" ""`}, 1, 1, 0, 1, "lock:xzz"},
	} {
		t.Run(test.why, func(t *testing.T) {
			heard := newTally("lock:")
			for _, line := range test.lines {
				heard.line([]byte(line))
			}
			var got history.Monitor
			heard.report(&got)
			want := history.Monitor{Commands: test.commands, Attempts: test.attempts, Releases: test.releases,
				Stuck: test.stuck, StuckLock: test.lock}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// A flood of names does not fill the memory, and the counts stay right.
func TestMonitorManyLocks(t *testing.T) {
	heard := newTally("lock:")
	heard.room = 10 * (nameCost + len("lock:00"))
	for i := range 100 {
		heard.line(fmt.Appendf(nil, `+1 [0 lua] "SET" "lock:%02d"`, i))
		heard.line([]byte(`+1 [0 lua] "SET" "lock:00"`))
	}
	var got history.Monitor
	heard.report(&got)
	if len(heard.locks) != 10 || got.Attempts != 200 || got.Stuck != 101 || got.StuckLock != "lock:00" {
		t.Errorf("%d names, %+v", len(heard.locks), got)
	}
}

// pieces is a connection that delivers little by little, with deadlines that
// pass in between.
type pieces struct {
	text  []byte
	piece int
	turn  int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.turn++; p.turn%3 == 0 {
		return 0, context.DeadlineExceeded
	}
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(p.piece, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	text := "one\r\n\r\ntwo\n" + long + "\r\nthree\r\n" + long + long + "yyy\r\nfour\r\n" + long[1:] +
		"\nfive\r\nnever ends"
	want := []string{"one", "", "two", long, "three", long, "four", long[1:], "five"}
	for _, piece := range []int{1, 2, 7, 4096, 64<<10 - 1, 64 << 10, 1 << 20} {
		source := &pieces{text: []byte(text), piece: piece}
		r := &lineReader{}
		var got []string
		for {
			line, err := r.next(source)
			if err == io.EOF {
				break
			}
			if err == nil {
				got = append(got, string(line))
			}
		}
		if len(got) != len(want) {
			t.Errorf("in pieces of %d: %d lines, want %d", piece, len(got), len(want))
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("in pieces of %d, line %d: %d bytes, want %d", piece, i, len(got[i]), len(want[i]))
			}
		}
	}
}

// repr is how Redis quotes an argument (sdscatrepr in its sds.c).
func repr(text []byte, argument []byte) []byte {
	text = append(text, ` "`...)
	for _, c := range argument {
		if i := bytes.IndexByte([]byte("\\\"\n\r\t\a\b"), c); i >= 0 {
			text = append(text, '\\', `\"nrtab`[i])
		} else if c >= ' ' && c <= '~' {
			text = append(text, c)
		} else {
			text = fmt.Appendf(text, `\x%02x`, c)
		}
	}
	return append(text, '"')
}

func FuzzMonitorLine(f *testing.F) {
	f.Add([]byte(`+1339518083.107412 [0 127.0.0.1:60866] "SET" "lock:a" "tok" "NX"`), []byte("a"))
	f.Add([]byte(`+1 [0 lua] "DEL" "lock:a" "lock:\"\\\n\xff`), []byte("\"\\\n\r\t\a\b\x00\xff] \""))
	f.Add([]byte(`+1 [0 [::1]:1] "unlink" "\x`), []byte(`\x41`))
	f.Fuzz(func(t *testing.T, line, name []byte) {
		heard := newTally("lock:")
		heard.line(line)
		if heard.commands > 1 || heard.attempts > 1 || heard.attempts+heard.releases > 0 && heard.commands == 0 {
			t.Errorf("%q: %+v", line, heard)
		}

		// What Redis quotes is read as it was, whatever it is.
		heard = newTally("lock:")
		key := append([]byte("lock:"), name...)
		quoted := repr(repr(repr([]byte("+1 [0 lua]"), []byte("SET")), key), name)
		heard.line(quoted)
		if lock := heard.locks[string(key)]; lock == nil || lock.attempts != 1 || lock.released {
			t.Errorf("%s: %+v", quoted, heard)
		}
		heard.line(repr(repr(repr([]byte("+1 [0 lua]"), []byte("del")), name), key))
		if lock := heard.locks[string(key)]; !lock.released || heard.attempts != 1 {
			t.Errorf("released: %+v", heard)
		}
		// Of a line that is cut off, nothing is made up.
		for i := range min(len(quoted), 200) { // each of them, but of the first only: it takes a while
			heard := newTally("lock:")
			heard.line(quoted[:i])
			for found := range heard.locks {
				if found != string(key) {
					t.Errorf("%s: %q", quoted[:i], found)
				}
			}
		}
	})
}

func BenchmarkMonitorLine(b *testing.B) {
	const head = `+1339518083.107412 [0 127.0.0.1:60866] `
	token := ` "17:4242:0badcafe"`
	for name, lines := range map[string][]string{
		"set":     {head + `"set" "lock:lj-0123456789ab:3"` + token + ` "px" "5000" "nx"`},
		"setnx":   {head + `"setnx" "lock:lj-0123456789ab:3"` + token},
		"lua-del": {`+1339518083.107412 [0 lua] "DEL" "lock:lj-0123456789ab:3"`},
		"escaped": {head + `"set" "lock:lj-0123456789ab:\xff3"` + token + ` "nx"`},
		"other":   {head + `"evalsha" "0123456789abcdef0123456789abcdef01234567" "1" "lock:lj-0123456789ab:3"` + token},
		"long":    {head + `"set" "count:lj-0123456789ab:3" "` + strings.Repeat("x", 4000) + `"`},
		"mix": {
			head + `"setnx" "lock:lj-0123456789ab:3"` + token,
			head + `"setnx" "lock:lj-0123456789ab:1"` + token,
			head + `"evalsha" "0123456789abcdef0123456789abcdef01234567" "1" "lock:lj-0123456789ab:3"` + token,
			`+1339518083.107412 [0 lua] "GET" "lock:lj-0123456789ab:3"`,
			`+1339518083.107412 [0 lua] "DEL" "lock:lj-0123456789ab:3"`,
		},
	} {
		b.Run(name, func(b *testing.B) {
			heard := newTally("lock:lj-0123456789ab:")
			raw := make([][]byte, len(lines))
			for i, line := range lines {
				raw[i] = []byte(line)
				heard.line(raw[i])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				heard.line(raw[i%len(raw)])
			}
		})
	}
}
