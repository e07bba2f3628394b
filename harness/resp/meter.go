package resp

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
)

// Meter follows a stream of replies, in whatever pieces it comes, and finds what exceeds the bounds. The zero value is
// ready for use. Renew may be called beside Look.
type Meter struct {
	renewed         atomic.Bool
	bytes, elements int    // since Renew, as announced
	skip            int    // bytes that are left of the present bulk string, its line end among them
	line            []byte // the beginning of a line that came in pieces
	open            []int  // of each array that has begun, the elements that are still to come
	err             error
}

// headerMax is as much of a line as has to be read to know what it announces.
const headerMax = 32

// Renew begins a new request: what is answered to it is counted anew.
func (m *Meter) Renew() { m.renewed.Store(true) }

// Look takes in what has been read. After an error it returns the same ever after.
func (m *Meter) Look(p []byte) error {
	if m.renewed.CompareAndSwap(true, false) {
		m.bytes, m.elements = 0, 0
	}
	for len(p) > 0 && m.err == nil {
		if m.skip > 0 {
			n := min(m.skip, len(p))
			m.skip, p = m.skip-n, p[n:]
			if m.skip == 0 {
				m.ended()
			}
			continue
		}
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		p = rest
		m.begun(line)
		if whole {
			m.header()
		}
	}
	return m.err
}

// begun takes in a part of a line.
func (m *Meter) begun(part []byte) {
	m.bytes += len(part)
	m.line = append(m.line, part...)
	switch {
	case len(m.line) > MaxLine:
		m.err = fmt.Errorf("%w: a line of more than %d bytes", ErrTooLong, MaxLine)
	case m.bytes > MaxReply:
		m.err = fmt.Errorf("%w: more than %d MiB", ErrTooLong, MaxReply>>20)
	}
}

// header takes in a line that is whole. A library reads what RESP3 announces over RESP2 as well.
func (m *Meter) header() {
	line := bytes.TrimRight(m.line[:min(len(m.line), headerMax)], "\r")
	m.line = m.line[:0]
	if len(line) == 0 || !bytes.ContainsRune([]byte("$=!*~>%|"), rune(line[0])) {
		m.ended()
		return
	}
	n, err := strconv.ParseInt(string(line[1:]), 10, 64)
	switch {
	case err != nil || n < -1:
		m.err = fmt.Errorf("%w: its header is %q", ErrTooLong, line)
	case n == -1:
		m.ended()
	case bytes.ContainsRune([]byte("$=!"), rune(line[0])):
		m.bulk(n)
	case n > MaxElements:
		m.err = fmt.Errorf("%w: an array of %d elements", ErrTooLong, n)
	case line[0] == '%':
		m.array(2 * n)
	case line[0] == '|': // the reply follows
		m.array(2*n + 1)
	default:
		m.array(n)
	}
}

func (m *Meter) bulk(n int64) {
	if n > int64(MaxReply-min(m.bytes, MaxReply)) {
		m.err = fmt.Errorf("%w: more than %d MiB, of which a string of %d bytes", ErrTooLong, MaxReply>>20, n)
		return
	}
	m.bytes += int(n)
	m.skip = int(n) + len("\r\n")
}

func (m *Meter) array(n int64) {
	switch {
	case n > int64(MaxElements-m.elements):
		m.err = fmt.Errorf("%w: arrays of more than %d elements together", ErrTooLong, MaxElements)
	case len(m.open) == MaxDepth:
		m.err = fmt.Errorf("%w: arrays that are nested more than %d deep", ErrTooLong, MaxDepth)
	case n == 0:
		m.ended()
	default:
		m.elements += int(n)
		m.open = append(m.open, int(n))
	}
}

// ended is the end of one element, with which the arrays around it may end.
func (m *Meter) ended() {
	for len(m.open) > 0 {
		last := len(m.open) - 1
		if m.open[last]--; m.open[last] > 0 {
			return
		}
		m.open = m.open[:last]
	}
}
