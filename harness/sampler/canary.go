package sampler

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/lockjam/lockjam/harness/history"
)

// How long one dial of the canary may take, part by part.
const (
	canaryDial   = 500 * time.Millisecond // until it is connected
	canaryListen = 30 * time.Millisecond  // for what the server says unasked
	canaryPing   = 200 * time.Millisecond // for the answer to a PING
)

// The words of a server that does not let a client in. Redis and Valkey say the
// first at maxclients (in cluster mode more words follow), the second in
// protected mode. Both close the connection after them.
const (
	fullWords   = "-ERR max number of clients"
	deniedWords = "-DENIED"
)

// canary finds out what a server does with one more client: it dials with a raw
// socket at a fixed rate, listens, and hangs up. A client library cannot be
// asked, since it does not tell its caller what a full server said.
type canary struct {
	dial  func(context.Context) (net.Conn, error)
	every time.Duration
	ran   func(words ...string) // told of every PING that the server executes; nil: not counted
	// turnedDown is told of every error reply to a PING; nil: they are not counted.
	turnedDown func(text string)

	mu      sync.Mutex
	counted history.Canary
}

// newCanary returns a canary that begins a dial every so often, or as soon as
// the dial before it has come to an end. The dial has to end with its context.
func newCanary(dial func(context.Context) (net.Conn, error), every time.Duration) *canary {
	return &canary{dial: dial, every: every}
}

// run dials until the context ends, one connection at a time. A dial that the
// end cuts short is not counted.
func (c *canary) run(ctx context.Context) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		f, words := c.try(ctx)
		if ctx.Err() != nil {
			return
		}
		c.count(f, words)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// counts returns what became of the dials so far. Dials is the sum of the rest.
func (c *canary) counts() history.Canary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counted
}

// fate is what became of one dial.
type fate uint8

const (
	admitted fate = iota
	refused
	cut
	silent
	unreachable
)

func (c *canary) count(f fate, words string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.Dials++
	if words != "" {
		c.counted.LastRefusal = words
	}
	switch f {
	case admitted:
		c.counted.Admitted++
	case refused:
		c.counted.Refused++
	case cut:
		c.counted.Cut++
	case silent:
		c.counted.Silent++
	case unreachable:
		c.counted.Unreachable++
	}
}

// try dials once and closes what it has dialled. The words are the server's,
// where it did not let the canary in.
func (c *canary) try(ctx context.Context) (f fate, words string) {
	dialing, cancel := context.WithTimeout(ctx, canaryDial)
	conn, err := c.dial(dialing)
	cancel()
	if err != nil {
		return undialled(err), ""
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	// Listen before writing. A full server says its words, closes, and reads
	// nothing: the kernel answers whatever was written by then with a reset,
	// which can take the words away before they are read.
	said, err := hear(conn, canaryListen)
	if said != "" {
		return unasked(said)
	}
	if !isTimeout(err) {
		return cut, ""
	}

	// Nothing was said: either there was room, or the server stalls. Where the
	// write fails, what the server said before it hung up may still be there.
	_ = conn.SetWriteDeadline(time.Now().Add(canaryPing))
	_, _ = io.WriteString(conn, "PING\r\n")
	said, err = hear(conn, canaryPing)
	switch {
	case said != "":
		if said == "+PONG" && c.ran != nil {
			c.ran("PING")
		}
		if text, isError := strings.CutPrefix(said, "-"); isError && c.turnedDown != nil &&
			!strings.HasPrefix(said, fullWords) {
			c.turnedDown(text)
		}
		return answered(said)
	case isTimeout(err):
		if c.ran != nil {
			c.ran("PING") // a server that stalls will read it yet
		}
		return silent, ""
	}
	return cut, ""
}

// undialled is what it means that there is no connection.
func undialled(err error) fate {
	switch {
	case isTimeout(err):
		return silent
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		// The server accepted and hung up: over TLS a full server closes the
		// connection before the handshake, without its words.
		return cut
	}
	return unreachable
}

// unasked is what it means that the server speaks first.
func unasked(said string) (f fate, words string) {
	if strings.HasPrefix(said, fullWords) {
		return refused, printable(said)
	}
	return cut, printable(said)
}

// answered is what it means that the server speaks after the PING. Any answer
// shows that it reads what the canary writes, be it NOAUTH, NOPERM, LOADING or
// BUSY, except for the words that a slow server meant to say unasked.
func answered(said string) (f fate, words string) {
	reply := said[0] == '+' || said[0] == '-'
	if !reply || strings.HasPrefix(said, fullWords) || strings.HasPrefix(said, deniedWords) {
		return unasked(said)
	}
	return admitted, ""
}

// hear returns the first line that arrives within the limit, or its beginning:
// a line that is cut off is one nevertheless. The error is why it is empty.
func hear(conn net.Conn, limit time.Duration) (string, error) {
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	var buf [512]byte
	n := 0
	for n < len(buf) {
		read, err := conn.Read(buf[n:])
		n += read
		line, _, whole := strings.Cut(strings.TrimLeft(string(buf[:n]), "\r\n"), "\n")
		if whole || err != nil {
			return strings.TrimSpace(line), err
		}
	}
	return strings.TrimSpace(string(buf[:])), nil
}

// isTimeout also knows the errors of contexts, which a dialer may return.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// wordsLimit bounds what is kept of a text from outside, in bytes.
const wordsLimit = 200

// printable is a text from outside as it can stand in a journal and on a
// terminal: of bounded length, and every character that is not printed replaced.
func printable(text string) string {
	text = strings.ToValidUTF8(strings.TrimSpace(text[:min(len(text), wordsLimit)]), "?")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
