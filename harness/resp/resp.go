// Package resp bounds the replies of a peer that speaks Redis's protocol (RESP2). A client library
// allocates the length that the header of a reply announces, and reads a line to its end, however
// long: a peer that is broken, or not a Redis at all, would use up all memory within seconds.
package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// The bounds on the answer to one request, which may be a pipeline. CLIENT LIST of 25,000 clients
// takes 9 MB, MGET of as many locks 25,000 elements, and COMMAND INFO is nested 7 deep.
const (
	MaxLine     = 64 << 10 // bytes of a line: a status, an error, a number, or the header of a longer reply
	MaxReply    = 64 << 20 // bytes of the whole answer
	MaxElements = 1 << 20  // of all arrays together
	MaxDepth    = 32       // of nested arrays
)

// ErrTooLong reports an answer that exceeds MaxLine, MaxReply, MaxElements or MaxDepth.
var ErrTooLong = errors.New("the answer exceeds the limits of lockjam")

// Line reads one line of at most MaxLine bytes, and returns it without its end. Data after the line
// may be lost, so it is only for connections on which none follow before the next request.
func Line(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, MaxLine)).ReadString('\n')
	if err == io.EOF && len(line) == MaxLine {
		err = fmt.Errorf("%w: a line of more than %d bytes", ErrTooLong, MaxLine)
	}
	return strings.TrimSpace(line), err
}

// Limit returns a connection whose Read fails with [ErrTooLong] on a reply that exceeds the bounds,
// before the reader has seen the reply's header, and then closes the connection. If conn implements
// syscall.Conn, so does the result.
func Limit(conn net.Conn) net.Conn {
	limited := &limitedConn{Conn: conn}
	if raw, ok := conn.(syscall.Conn); ok {
		return struct {
			*limitedConn
			syscall.Conn
		}{limited, raw}
	}
	return limited
}

// limitedConn restarts its counts at every Write, which begins a request.
type limitedConn struct {
	net.Conn
	replies Meter
}

func (c *limitedConn) Write(p []byte) (int, error) {
	c.replies.Renew()
	return c.Conn.Write(p)
}

func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if long := c.replies.Look(p[:n]); long != nil {
		return 0, errors.Join(long, c.Close())
	}
	return n, err
}
