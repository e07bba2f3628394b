package resp

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
)

// Meter parses a stream of replies, split in any way, and detects a reply that exceeds the bounds.
// The zero value is ready for use. Renew may be called concurrently with Look.
type Meter struct {
	renewed         atomic.Bool
	bytes, elements int    // since Renew, as announced
	skip            int    // bytes left of the current bulk string, including its line end
	line            []byte // the beginning of an incomplete line
	open            []int  // for each open array, the number of elements still to come
	err             error
}

// headerMax is the number of bytes of a line that suffice to parse it as a header.
const headerMax = 32

// Renew begins a new request, and with it a new count.
func (m *Meter) Renew() { m.renewed.Store(true) }

// Look parses the next data. After an error it always returns that error.
func (m *Meter) Look(p []byte) error {
	if m.renewed.CompareAndSwap(true, false) {
		m.bytes, m.elements = 0, 0
	}
	for len(p) > 0 && m.err == nil {
		if m.skip > 0 {
			n := min(m.skip, len(p))
			m.skip, p = m.skip-n, p[n:]
			if m.skip == 0 {
				m.endElement()
			}
			continue
		}
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		p = rest
		m.addToLine(line)
		if whole {
			m.endLine()
		}
	}
	return m.err
}

// addToLine appends a part of a line.
func (m *Meter) addToLine(part []byte) {
	m.bytes += len(part)
	m.line = append(m.line, part...)
	switch {
	case len(m.line) > MaxLine:
		m.err = fmt.Errorf("%w: a line of more than %d bytes", ErrTooLong, MaxLine)
	case m.bytes > MaxReply:
		m.err = fmt.Errorf("%w: more than %d MiB", ErrTooLong, MaxReply>>20)
	}
}

// endLine parses a complete line. It includes the headers of RESP3, because client libraries accept
// them over RESP2 as well.
func (m *Meter) endLine() {
	line := bytes.TrimRight(m.line[:min(len(m.line), headerMax)], "\r")
	m.line = m.line[:0]
	if len(line) == 0 || !bytes.ContainsRune([]byte("$=!*~>%|"), rune(line[0])) {
		m.endElement()
		return
	}
	n, err := strconv.ParseInt(string(line[1:]), 10, 64)
	switch {
	case err != nil || n < -1:
		m.err = fmt.Errorf("%w: invalid header %q", ErrTooLong, line)
	case n == -1:
		m.endElement()
	case bytes.ContainsRune([]byte("$=!"), rune(line[0])):
		m.bulk(n)
	case n > MaxElements:
		m.err = fmt.Errorf("%w: an array of %d elements", ErrTooLong, n)
	case line[0] == '%':
		m.array(2 * n)
	case line[0] == '|': // an attribute; the reply itself follows as one more element
		m.array(2*n + 1)
	default:
		m.array(n)
	}
}

// bulk begins a bulk string of n bytes.
func (m *Meter) bulk(n int64) {
	if n > int64(MaxReply-min(m.bytes, MaxReply)) {
		m.err = fmt.Errorf("%w: more than %d MiB, of which a string of %d bytes", ErrTooLong, MaxReply>>20, n)
		return
	}
	m.bytes += int(n)
	m.skip = int(n) + len("\r\n")
}

// array begins an array of n elements.
func (m *Meter) array(n int64) {
	switch {
	case n > int64(MaxElements-m.elements):
		m.err = fmt.Errorf("%w: arrays of more than %d elements together", ErrTooLong, MaxElements)
	case len(m.open) == MaxDepth:
		m.err = fmt.Errorf("%w: arrays that are nested more than %d deep", ErrTooLong, MaxDepth)
	case n == 0:
		m.endElement()
	default:
		m.elements += int(n)
		m.open = append(m.open, int(n))
	}
}

// endElement ends one element, and with it the arrays of which it is the last.
func (m *Meter) endElement() {
	for len(m.open) > 0 {
		last := len(m.open) - 1
		if m.open[last]--; m.open[last] > 0 {
			return
		}
		m.open = m.open[:last]
	}
}
