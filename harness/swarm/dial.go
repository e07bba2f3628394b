package swarm

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lockjam/lockjam/harness/machine"
	"github.com/lockjam/lockjam/harness/resp"
)

// gate stands in front of every dial of the swarm. A restarted server has its
// control connections opened before the gate opens again, since the first to
// dial a full server get its slots. Behind a shut gate the swarm sees what it
// would see of a server that is not up yet: connection refused.
type gate struct{ shut atomic.Bool }

func (g *gate) check(addr string) error {
	if !g.shut.Load() {
		return nil
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// dialer opens one client's connections and notices which of them the server
// turned away because it was full.
type dialer struct {
	gate    *gate
	life    context.Context // the instance's: go-redis dials on a context of its own
	timeout time.Duration
	tls     *tls.Config // nil: plain TCP. With a dialer of one's own go-redis leaves TLS to it.
	dials   *atomic.Int64
	refused atomic.Int64 // connections turned away with the server's own words
	broken  atomic.Int64 // reads and writes that failed, and timeouts with them
	shakes  handshake    // with every connection
	source  net.Addr     // nil: the system chooses
	elapsed func() time.Duration
	// is told that this machine has no file descriptor or port left to dial with; may be nil
	short  func(error)
	beside func(addr string) bool // reports addresses other than the watched server; nil: none
	open   atomic.Int64           // connections that the watched server has let in and that are not closed
	opened atomic.Int64           // ns: when the last of them was let in

	mu    sync.Mutex
	conns []*watchedConn // that are not closed; a set of one, mostly
}

// over reports whether the dialling instance was killed, or the swarm is stopped.
func (d *dialer) over() bool { return d.life != nil && d.life.Err() != nil }

// dial is a redis.Options.Dialer.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.dials.Add(1)
	if err := d.gate.check(addr); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	defer context.AfterFunc(d.life, cancel)()
	from := &net.Dialer{KeepAlive: -1, LocalAddr: d.source, Control: lateBind(d.source)}
	c, err := from.DialContext(ctx, network, addr)
	if err != nil {
		// What this machine lacks is no answer of the server's, and nothing can be concluded from it.
		if machine.Short(err) && d.short != nil {
			d.short(err)
		}
		return nil, err
	}
	w := &watchedConn{TCPConn: c.(*net.TCPConn), dialer: d, beside: d.beside != nil && d.beside(addr)}
	if d.tls == nil {
		w.meter = new(resp.Meter)
	}
	w.detach = context.AfterFunc(d.life, func() { _ = w.TCPConn.Close() })
	if err := d.shakes.shake(w); err != nil {
		w.detach()
		_ = w.TCPConn.Close()
		return nil, err
	}
	if !w.beside {
		d.keep(w)
	}
	if d.tls != nil {
		return tls.Client(w, d.tls), nil
	}
	return w, nil
}

// refusal is how Redis and Valkey begin their answer to one client too many
// (networking.c, acceptCommonHandler). In cluster mode more words follow.
var refusal = []byte("-ERR " + refusalText)

// refusalText is what an alert that reads errors would look for.
const refusalText = "max number of clients"

// watchedConn reads along until the first answer of the server. It returns the
// same bytes and the same errors as the connection itself, so that the client
// library under test behaves as it would without it, up to an answer that no Redis
// gives and for which the library would take all memory (see package resp). The library cannot be
// asked: it takes the refusal for a server without HELLO, goes on writing, and
// tells its caller of a broken pipe, a reset or EOF. The embedded TCPConn
// keeps syscall.Conn, which go-redis uses to find out if an idle connection is
// still alive.
type watchedConn struct {
	*net.TCPConn
	dialer *dialer
	beside bool // its slot is another server's
	once   sync.Once
	letIn  atomic.Bool
	detach func() bool
	meter  *resp.Meter // of what the server answers; nil over TLS, where it cannot be seen here
	owed   int         // answers to the handshake that are still to come; only the reader touches it
}

// Close also forgets the connection in the instance's life, which cuts those that
// are still open when it ends.
func (c *watchedConn) Close() error {
	c.detach()
	c.dialer.drop(c)
	if c.letIn.CompareAndSwap(true, false) {
		c.dialer.open.Add(-1)
	}
	return c.TCPConn.Close()
}

func (c *watchedConn) Read(p []byte) (int, error) {
	said, err := c.settle()
	n := copy(p, said) // there is room: go-redis reads into buffers of 64 bytes and more
	if n == 0 && err == nil {
		n, err = c.TCPConn.Read(p)
	}
	if c.meter != nil && n > 0 {
		if long := c.meter.Look(p[:n]); long != nil {
			n, err = 0, long
		}
	}
	if n > 0 {
		c.once.Do(func() { c.look(p[:n]) })
	} else if err != nil {
		c.dialer.broken.Add(1)
		c.once.Do(c.salvage)
	}
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if c.meter != nil {
		c.meter.Renew()
	}
	n, err := c.TCPConn.Write(p)
	if err != nil {
		c.dialer.broken.Add(1)
		c.once.Do(c.salvage)
	}
	return n, err
}

func (c *watchedConn) look(answer []byte) {
	switch {
	case bytes.HasPrefix(answer, refusal):
		c.dialer.refused.Add(1)
	case len(answer) > 0 && !c.beside:
		c.letIn.Store(true)
		c.dialer.opened.Store(int64(c.dialer.elapsed()))
		c.dialer.open.Add(1)
	}
}

// salvage reads what the server said before the connection broke under the
// first write: a reset does not take back what had arrived before it.
func (c *watchedConn) salvage() {
	buf := make([]byte, 64)
	if c.SetReadDeadline(time.Now().Add(20*time.Millisecond)) != nil {
		return
	}
	n, _ := c.TCPConn.Read(buf)
	c.look(buf[:n])
}
