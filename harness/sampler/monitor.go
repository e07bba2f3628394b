package sampler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// monitorPatience is how long the server may take to begin MONITOR, and again how
// long it may take to end it.
const monitorPatience = 500 * time.Millisecond

// request is something that the server owes an answer to.
type request uint8

const (
	askMonitor request = iota
	askReset
	askAuth
	askName
	askDB
)

var requestNames = [...]string{askMonitor: "MONITOR", askReset: "RESET", askAuth: "AUTH", askName: "CLIENT SETNAME",
	askDB: "SELECT"}

// Listener listens to MONITOR in bursts, over one connection that it keeps in
// between. MONITOR costs the server something for every command of everybody, so
// it has to end; and a connection that is closed to end it is not to be had
// again once the server is full.
//
// A Listener is not to be used concurrently, except for Close.
type Listener struct {
	conn  net.Conn
	addr  string
	lines lineReader
	owed  []request // what the server has not answered yet, the oldest first
	over  error     // why there is nothing to be heard any more; nil while there is

	username, password string
	name               string // "": the connection has none
	db                 int
	ran                func(words ...string) // told of every command that was executed; nil: not counted
}

// NewListener takes over an authenticated, idle, raw RESP2 connection to the
// endpoint. After every burst the connection is given the name again, and is
// authenticated with the endpoint's credentials.
func NewListener(conn net.Conn, e server.Endpoint, name string) *Listener {
	return &Listener{conn: conn, addr: e.Addr, username: e.Username, password: e.Password, name: name, db: e.DB}
}

// Close closes the connection, which also ends a Listen that is under way.
func (l *Listener) Close() error {
	if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the connection of MONITOR to %s: %w", l.addr, err)
	}
	return nil
}

// Listen listens for d, or until the context ends, and returns within d and a
// second more. Locks are the keys that begin with lockPrefix. Where something
// goes wrong Error says what; what was heard before it is returned as well.
// From is when the server began to tell, To when it was asked to end; where it
// never began they are when Listen began and ended.
func (l *Listener) Listen(ctx context.Context, d time.Duration, elapsed func() time.Duration,
	lockPrefix string) history.Monitor {
	m := history.Monitor{From: elapsed()}
	heard := newTally(lockPrefix)
	err := l.over
	if err == nil {
		err = l.burst(ctx, d, elapsed, heard, &m)
	}
	if err != nil {
		m.Error = err.Error()
	}
	if m.To == 0 {
		m.To = elapsed()
	}
	heard.report(&m)
	return m
}

// burst begins MONITOR, listens, and ends it, whatever comes of the first two.
func (l *Listener) burst(ctx context.Context, d time.Duration, elapsed func() time.Duration, heard *tally,
	m *history.Monitor) error {
	if ctx.Err() != nil {
		return fmt.Errorf("MONITOR on %s: %w", l.addr, context.Cause(ctx))
	}
	begun, err := l.begin(ctx, heard)
	if !begun {
		return err
	}
	if err == nil {
		m.From = elapsed()
		err = l.listen(ctx, d, heard)
		m.To = elapsed()
	} else {
		heard = nil // it may begin yet, but it is not known when
	}
	if l.over != nil {
		return err
	}
	if ending := l.end(heard); err == nil {
		err = ending // else it is the same trouble once more
	}
	return err
}

// begin writes MONITOR and awaits the answer. It reports whether MONITOR may be in
// force from now on, and so has to be ended.
func (l *Listener) begin(ctx context.Context, heard *tally) (begun bool, err error) {
	release := l.readUntil(ctx, time.Now().Add(monitorPatience))
	defer release()
	// The server may have stalled in the last burst. What it owes comes first.
	if err := l.settle(ctx, nil); err != nil {
		return false, err
	}
	if err := l.send(encode(nil, "MONITOR"), askMonitor); err != nil {
		return false, err
	}
	err = l.settle(ctx, heard)
	return err == nil || len(l.owed) > 0, err
}

// listen counts lines until d has passed or the context ends.
func (l *Listener) listen(ctx context.Context, d time.Duration, heard *tally) error {
	release := l.readUntil(ctx, time.Now().Add(d))
	defer release()
	for {
		line, err := l.lines.next(l.conn)
		if isTimeout(err) {
			return nil
		}
		if err != nil {
			return l.giveUp(fmt.Errorf("listen to MONITOR on %s: %w", l.addr, err))
		}
		if err := l.take(line, heard); err != nil {
			return err
		}
	}
}

// end ends MONITOR with RESET. RESET also forgets the connection's user and name, so it
// is told again in the same write: the server reads and executes all of it in
// one go, and the connection is never seen without its name.
func (l *Listener) end(heard *tally) error {
	requests := []request{askReset}
	text := encode(nil, "RESET")
	if l.password != "" {
		credentials := []string{"AUTH", l.password}
		if l.username != "" {
			credentials = []string{"AUTH", l.username, l.password}
		}
		text, requests = encode(text, credentials...), append(requests, askAuth)
	}
	if l.name != "" {
		text, requests = encode(text, "CLIENT", "SETNAME", l.name), append(requests, askName)
	}
	if l.db != 0 {
		text, requests = encode(text, "SELECT", strconv.Itoa(l.db)), append(requests, askDB)
	}
	if err := l.send(text, requests...); err != nil {
		return err
	}
	// Not for as long as the caller's context: to leave now would leave the
	// server telling, and the answers on the wire.
	ctx := context.Background()
	release := l.readUntil(ctx, time.Now().Add(monitorPatience))
	defer release()
	return l.settle(ctx, heard)
}

// send writes requests. After an error it is not known how much of them the server
// has seen.
func (l *Listener) send(text []byte, requests ...request) error {
	err := l.conn.SetWriteDeadline(time.Now().Add(monitorPatience))
	if err == nil {
		_, err = l.conn.Write(text)
	}
	if err != nil {
		return l.giveUp(fmt.Errorf("write %s to %s: %w", requestNames[requests[0]], l.addr, err))
	}
	l.owed = append(l.owed, requests...)
	return nil
}

// settle reads until nothing is owed, and counts the lines that come in between
// unless heard is nil.
func (l *Listener) settle(ctx context.Context, heard *tally) error {
	for len(l.owed) > 0 {
		line, err := l.lines.next(l.conn)
		if isTimeout(err) {
			if ctx.Err() != nil {
				return fmt.Errorf("%s on %s: %w", requestNames[l.owed[0]], l.addr, context.Cause(ctx))
			}
			// The connection is kept: a new one would need a slot.
			return fmt.Errorf("no answer to %s from %s within %v", requestNames[l.owed[0]], l.addr, monitorPatience)
		}
		if err != nil {
			return l.giveUp(fmt.Errorf("read the answer to %s from %s: %w", requestNames[l.owed[0]], l.addr, err))
		}
		if err := l.take(line, heard); err != nil {
			return err
		}
	}
	return nil
}

// takeAnswer is given every line. What MONITOR tells begins with a time, and no
// answer does; what is neither of the two is skipped.
func (l *Listener) take(line []byte, heard *tally) error {
	switch {
	case len(line) < 2 || line[0] != '+' && line[0] != '-':
		return nil
	case line[0] == '-' || line[1] < '0' || line[1] > '9':
		return l.answer(line)
	case heard != nil:
		heard.line(line)
	}
	return nil
}

// answer is given the answer to the oldest request.
func (l *Listener) answer(line []byte) error {
	if len(l.owed) == 0 {
		return l.giveUp(fmt.Errorf("%s said unasked, in the middle of MONITOR: %s", l.addr, printable(string(line))))
	}
	asked := l.owed[0]
	l.owed = append(l.owed[:0], l.owed[1:]...)
	want := "+OK"
	if asked == askReset {
		want = "+RESET"
	}
	if string(line) == want {
		if l.ran != nil {
			l.ran(strings.Fields(requestNames[asked])...)
		}
		return nil
	}
	words := printable(string(line))
	if line[0] == '+' {
		return l.giveUp(fmt.Errorf("%s on %s was answered with %q", requestNames[asked], l.addr, words))
	}
	switch asked {
	case askMonitor:
		return l.refused(words)
	case askReset:
		return l.giveUp(fmt.Errorf("this server cannot end MONITOR on a connection that is kept (RESET, Redis 6.2): %s said %s", l.addr, words))
	case askAuth:
		// Only the code of it: the rest may repeat what was sent. Since Redis 7.2
		// it is NOAUTH, to the command behind AUTH: an AUTH that fails behind
		// another command is not answered (redis/redis#15640).
		code, _, _ := strings.Cut(words, " ")
		return l.giveUp(fmt.Errorf("AUTH on %s, after RESET, was answered with %s", l.addr, code))
	case askName: // a user that may not; asking again would fill the ACL log
		l.name = ""
	case askDB:
		l.db = 0
	}
	return nil
}

// refused remembers that MONITOR is not for us, since every further try may be
// one more entry in the server's ACL log. A server that is busy says no to
// everybody, and for a time.
func (l *Listener) refused(words string) error {
	err := fmt.Errorf("MONITOR on %s was answered with %s", l.addr, words)
	if !strings.HasPrefix(words, "-BUSY") && !strings.HasPrefix(words, "-LOADING") {
		l.over = err
	}
	return err
}

// giveUp closes a connection whose next reply is not known any more.
func (l *Listener) giveUp(err error) error {
	l.over = errors.Join(err, l.Close())
	return l.over
}

// readUntil sets the read deadline, which comes at once when the context ends.
// After release the deadline may be set anew.
func (l *Listener) readUntil(ctx context.Context, deadline time.Time) (release func()) {
	_ = l.conn.SetReadDeadline(deadline) // an error of it is one of the next read too
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// encode appends a command as RESP.
func encode(text []byte, arguments ...string) []byte {
	text = fmt.Appendf(text, "*%d\r\n", len(arguments))
	for _, argument := range arguments {
		text = fmt.Appendf(text, "$%d\r\n%s\r\n", len(argument), argument)
	}
	return text
}

// lineReader cuts what a connection says into lines. A read that runs into its
// deadline loses nothing, unlike that of bufio: the next call goes on with the
// half of a line that has come.
type lineReader struct {
	buf      [64 << 10]byte
	from, to int  // of what has been read and not been returned
	scanned  int  // there is no newline before it
	skipping bool // up to the next newline: the line was too long
}

// next returns the next line without its end. Of a line that does not fit the
// buffer it returns what does. The line is valid until the next call.
func (r *lineReader) next(source io.Reader) ([]byte, error) {
	for {
		if i := bytes.IndexByte(r.buf[r.scanned:r.to], '\n'); i >= 0 {
			line := r.buf[r.from : r.scanned+i]
			r.from = r.scanned + i + 1
			r.scanned = r.from
			if r.skipping {
				r.skipping = false
				continue
			}
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		r.scanned = r.to
		if r.from > 0 || r.skipping { // make room
			if r.skipping {
				r.from = r.to
			}
			r.to = copy(r.buf[:], r.buf[r.from:r.to])
			r.from, r.scanned = 0, r.to
		}
		if r.to == len(r.buf) {
			r.from, r.to, r.scanned, r.skipping = 0, 0, 0, true
			return r.buf[:], nil
		}
		n, err := source.Read(r.buf[r.to:])
		r.to += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// namesLimit bounds the memory that the names of locks may take in one burst, in
// bytes. Locks that come up after that are counted, but can not be the stuck one.
const (
	namesLimit = 16 << 20
	nameCost   = 64 // of an entry, besides the name
)

// tally counts what MONITOR tells of locks.
type tally struct {
	prefix                       []byte
	commands, attempts, releases int64
	locks                        map[string]*lockTally
	room                         int    // for names, in bytes
	scratch                      []byte // for arguments that are escaped
}

type lockTally struct {
	attempts int64
	released bool
}

func newTally(prefix string) *tally {
	return &tally{prefix: []byte(prefix), locks: map[string]*lockTally{}, room: namesLimit}
}

// What ends the address of the client in a line. The address itself may have
// brackets: it is IPv6, or the path of a socket.
var addressEnd = []byte(`] "`)

// line counts one line, such as
//
//	+1339518083.107412 [0 127.0.0.1:60866] "SET" "lock:a" "token" "NX"
//	+1339518083.107413 [0 lua] "DEL" "lock:a"
//
// It looks no further than it has to: the arguments behind the first key of a
// SET may be long. A line that is not such a line is left out, and so is the
// part of a line that is broken or was cut off.
func (t *tally) line(line []byte) {
	at := bytes.Index(line, addressEnd)
	if at < 0 {
		return
	}
	name, rest, ok := t.argument(line[at+1:])
	if !ok {
		return
	}
	t.commands++
	switch kindOf(name) {
	case setsLock:
		if key, _, ok := t.argument(rest); ok && bytes.HasPrefix(key, t.prefix) {
			t.attempts++
			if lock := t.lock(key); lock != nil {
				lock.attempts++
			}
		}
	case deletesLocks:
		for key, rest, ok := t.argument(rest); ok; key, rest, ok = t.argument(rest) {
			if !bytes.HasPrefix(key, t.prefix) {
				continue
			}
			t.releases++
			if lock := t.lock(key); lock != nil {
				lock.released = true
			}
		}
	}
}

// lock returns the entry of a key, or nil where there is no room for one more.
func (t *tally) lock(key []byte) *lockTally {
	if lock := t.locks[string(key)]; lock != nil { // the compiler makes no string for this
		return lock
	}
	if t.room -= len(key) + nameCost; t.room < 0 {
		t.room = 0
		return nil
	}
	lock := &lockTally{}
	t.locks[string(key)] = lock
	return lock
}

// report puts what was counted into m.
func (t *tally) report(m *history.Monitor) {
	m.Commands, m.Attempts, m.Releases = t.commands, t.attempts, t.releases
	stuck := ""
	for name, lock := range t.locks {
		if lock.released || lock.attempts < m.Stuck || lock.attempts == 0 {
			continue
		}
		if lock.attempts > m.Stuck || name < stuck {
			m.Stuck, stuck = lock.attempts, name
		}
	}
	m.StuckLock = printable(stuck)
}

// kind is what a command does to locks.
type kind uint8

const (
	otherCommand kind = iota
	setsLock
	deletesLocks
)

// kindOf knows a command in any case: clients and scripts write it as they like.
// A go-redis SetNX is a SET, or a SETNX where the lock has no TTL. The length
// also keeps EqualFold to ASCII.
func kindOf(name []byte) kind {
	switch {
	case len(name) == 3 && bytes.EqualFold(name, []byte("SET")), len(name) == 5 &&
		bytes.EqualFold(name, []byte("SETNX")):
		return setsLock
	case len(name) == 3 && bytes.EqualFold(name, []byte("DEL")), len(name) == 6 &&
		bytes.EqualFold(name, []byte("UNLINK")):
		return deletesLocks
	}
	return otherCommand
}

// argument reads a space and a quoted argument off the beginning of text, and
// returns what is left. The argument is valid until the next call.
func (t *tally) argument(text []byte) (argument, rest []byte, ok bool) {
	if len(text) < 2 || text[0] != ' ' || text[1] != '"' {
		return nil, nil, false
	}
	text = text[2:]
	end := bytes.IndexByte(text, '"')
	if end < 0 {
		return nil, nil, false
	}
	if bytes.IndexByte(text[:end], '\\') < 0 {
		return text[:end], text[end+1:], true
	}
	return t.unescape(text)
}

// unescape is argument for text that Redis has escaped (sdscatrepr in its
// sds.c), without the space and the first quote.
func (t *tally) unescape(text []byte) (argument, rest []byte, ok bool) {
	t.scratch = t.scratch[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '"' {
			return t.scratch, text[i+1:], true
		}
		if c == '\\' {
			if i++; i == len(text) {
				break
			}
			if c = text[i]; c == 'x' && i+2 < len(text) {
				if b, err := strconv.ParseUint(string(text[i+1:i+3]), 16, 8); err == nil {
					t.scratch = append(t.scratch, byte(b))
					i += 2
					continue
				}
			}
			c = unescaped(c)
		}
		t.scratch = append(t.scratch, c)
	}
	return nil, nil, false
}

// unescaped is the byte that stands behind a backslash as c.
func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'a':
		return '\a'
	case 'b':
		return '\b'
	}
	return c
}
