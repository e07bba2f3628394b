package swarm

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// client is one client of a service instance, and how it dials.
type client struct {
	name string // in CLIENT LIST
	lib  library
	dial *dialer
	open func() library
}

// newClient makes a client that dials as its instance's settings say, and as long
// as its instance lives.
func (s *Swarm) newClient(name string, o *ClientOptions, life context.Context) *client {
	d := &dialer{gate: &s.gate, life: life, timeout: o.DialTimeoutMS.Duration(),
		tls: s.target.TLS, dials: &s.dials, elapsed: s.config.Elapsed, beside: s.target.beside, short: s.fail,
		shakes: newHandshake(s.target, *o), source: sourceOf(s.target.Addr, s.clients.Add(1))}
	open := func() library { return openLibrary(s.target, *o, name, d) }
	return &client{name: name, lib: open(), dial: d, open: open}
}

// link is a worker's way to Redis: the client it shares or owns, and, while it
// waits for a lock, the one connection that it may be keeping.
type link struct {
	client  *client
	kept    connection
	tally   *tally
	replies *replies // of all workers together; nil: not counted
	keeps   bool

	// keptSince is when kept was first answered, in ns; 0 while it may have no
	// turn of the pool. A redis.Conn takes its turn with its first command, which
	// may have to wait for one, and gives it back when it is closed. So this is
	// set once it certainly has the turn, and cleared before it may be gone: a
	// reader may miss a turn that is held, and never sees one that is not.
	keptSince atomic.Int64

	// refused is the error reply to the last command; nil if that was accepted, or failed
	// in another way.
	refused atomic.Pointer[errorReply]

	// outer is the connection that a nested checkout keeps for the whole decision, and
	// outerSince is of it what keptSince is of kept.
	outer      connection
	outerSince atomic.Int64
}

// do sends one command (or pipeline) and counts it. After an error the kept
// connection is given up: a redis.Conn whose first handshake was refused
// answers "Conn is in a bad state" for ever after.
func (l *link) do(send func(session) error) history.Class {
	over := l.client.lib.session()
	if l.keeps {
		if l.kept.none() {
			l.kept = l.client.lib.conn()
		}
		over = l.kept.session()
	}
	class := l.ask(over, send)
	if class != history.None {
		l.letGo()
	} else if l.keeps && l.keptSince.Load() == 0 {
		l.keptSince.Store(int64(l.client.dial.elapsed()))
	}
	return class
}

// ask sends one command (or pipeline) over a connection that the caller has
// chosen, and counts it.
func (l *link) ask(over session, send func(session) error) history.Class {
	refusedBefore := l.client.dial.refused.Load()
	begun := time.Now()
	err := send(over)
	took := time.Since(begun)
	class := Classify(err, l.client.dial.refused.Load() > refusedBefore)
	l.note(class, err)
	if class == history.None || class == history.Rejected || class == history.Conflict {
		l.tally.commands.Add(1)
		l.tally.commandNanos.Add(int64(took))
	}
	// What breaks because the process is killed is not logged.
	if class != history.None && !l.client.dial.over() {
		l.tally.errors[class].Add(1)
		if class == history.Rejected {
			l.replies.add(err)
		}
		if strings.Contains(err.Error(), refusalText) {
			l.tally.told.Add(1)
		}
	}
	return class
}

// errorReply is an error reply that is given again and again.
type errorReply struct {
	reply string        // its first word
	since time.Duration // when the first of them was given, with no other answer since
}

// note remembers whether the last command was refused.
func (l *link) note(class history.Class, err error) {
	if class != history.Rejected {
		l.refused.Store(nil)
		return
	}
	now := errorReply{reply: replyOf(err), since: l.client.dial.elapsed()}
	if was := l.refused.Load(); was != nil {
		now.since = was.since
	}
	l.refused.Store(&now)
}

// letGo returns the kept connection to the pool, which discards it if it broke.
func (l *link) letGo() {
	if !l.kept.none() {
		l.keptSince.Store(0)
		l.kept.close()
		l.kept = connection{}
	}
}

// hangUp closes every connection of a client that the worker does not share.
// Redis frees the slot when it reads the end of the stream.
func (l *link) hangUp() {
	l.letGo()
	l.client.lib.close()
	l.client.lib = l.client.open()
}

// tally is what one worker counts. It is read while the worker runs.
type tally struct {
	decisions, failed, grants, releases, crashes atomic.Int64
	commands, commandNanos                       atomic.Int64
	told                                         atomic.Int64 // errors that say that the server is full
	errors                                       [history.Classes]atomic.Int64
}

func (t *tally) addTo(s *history.Swarm) {
	s.Decisions += t.decisions.Load()
	s.Failed += t.failed.Load()
	s.Grants += t.grants.Load()
	s.Releases += t.releases.Load()
	s.Crashes += t.crashes.Load()
	s.Commands += t.commands.Load()
	s.CommandTime += time.Duration(t.commandNanos.Load())
	s.MaxClientsErrors += t.told.Load()
	for i := range t.errors {
		s.Errors[i] += t.errors[i].Load()
	}
}

// sleep waits, and reports whether the context is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
