package swarm

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// handshake is what a new connection costs the server before it can be used: it is
// kept from everything else for HandshakeMS, as by a TLS handshake. DEBUG SLEEP stands
// for it, which takes time and no CPU. It goes out with the connection, before the
// client library says anything, and its answer never gets there: a server works for
// connections whose clients have gone, for it cannot know.
type handshake struct {
	request []byte
	replies int // of "+OK" that the library must not see
}

// newHandshake has none where there is nothing to pay.
func newHandshake(t Target, o ClientOptions) handshake {
	if o.HandshakeMS == 0 {
		return handshake{}
	}
	var h handshake
	if t.Password != "" { // nothing else is answered before
		user := []string{"AUTH", t.Password}
		if t.Username != "" {
			user = []string{"AUTH", t.Username, t.Password}
		}
		h.add(user...)
	}
	h.add("DEBUG", "SLEEP", strconv.FormatFloat(o.HandshakeMS.Duration().Seconds(), 'f', -1, 64))
	return h
}

// add appends a command as Redis reads it.
func (h *handshake) add(words ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	h.request, h.replies = append(h.request, b.String()...), h.replies+1
}

// shake begins it over a connection that has just been opened.
func (h handshake) shake(c *watchedConn) error {
	if h.replies == 0 {
		return nil
	}
	c.owed = h.replies
	_, err := c.TCPConn.Write(h.request)
	return err
}

// settle reads the answers to the handshake, before anything else is read. What is
// said in place of one (that the server is full, that it does not allow DEBUG) is for
// the library to read: it is returned.
func (c *watchedConn) settle() (said []byte, err error) {
	const ok = "+OK\r\n"
	for ; c.owed > 0; c.owed-- {
		answer := make([]byte, len(ok))
		n, err := io.ReadFull(c.TCPConn, answer)
		if string(answer[:n]) != ok {
			c.owed = 0
			return answer[:n], err
		}
	}
	return nil, nil
}
