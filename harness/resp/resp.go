// Package resp bounds what a peer that speaks Redis's protocol (RESP2) may answer. A client library allocates what the
// header of a reply announces, and reads a line to its end however long that is: a peer that is broken, or no Redis at
// all, would take all memory within seconds.
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

// The bounds on what is answered to one request, be it a pipeline. CLIENT LIST of 25,000 clients takes 9 MB, MGET of as
// many locks 25,000 elements, and COMMAND INFO is nested 7 deep.
const (
	MaxLine     = 64 << 10 // bytes of a line: a status, an error, a number, or the header of a longer reply
	MaxReply    = 64 << 20 // bytes of all
	MaxElements = 1 << 20  // of all arrays
	MaxDepth    = 32       // of arrays in arrays
)

// ErrTooLong says that a peer answers with more than lockjam reads: more than MaxLine, MaxReply,
// MaxElements or MaxDepth.
var ErrTooLong = errors.New("the answer is longer than any that lockjam reads")

// Line reads one line, without its end, of at most MaxLine bytes. What follows it may be lost: it is for connections on
// which nothing is to follow until the next request.
func Line(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, MaxLine)).ReadString('\n')
	if err == io.EOF && len(line) == MaxLine {
		err = fmt.Errorf("%w: a line of more than %d bytes", ErrTooLong, MaxLine)
	}
	return strings.TrimSpace(line), err
}

// Limit returns a connection on which a reply that exceeds the bounds is an error of Read that
// wraps [ErrTooLong], before the reader has seen its header. The connection is closed then. What
// the kernel tells of a connection (syscall.Conn) stays available.
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

// limitedConn counts anew with every Write, which begins a request.
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
