package faults

import (
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// setting is the set of faults in force.
type setting struct {
	drop  bool
	delay time.Duration
	cuts  int // calls of Cut: connections opened before the last of them must close
	heals int // calls of Heal: connections that lost a reply before the last of them must close
}

// state is the setting that all connections of a proxy share.
type state struct {
	mu      sync.Mutex
	now     setting
	changed chan struct{} // closed and replaced at every change
	stopped chan struct{}
	open    sync.WaitGroup // valves that have not ended
}

func newState() *state {
	return &state{changed: make(chan struct{}), stopped: make(chan struct{})}
}

// get returns the setting in force and a channel that is closed when it changes.
func (s *state) get() (setting, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.changed
}

func (s *state) set(change func(*setting)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.now)
	close(s.changed)
	s.changed = make(chan struct{})
}

// stop ends every valve. The caller has closed the connections, and no more are opened.
func (s *state) stop() {
	close(s.stopped)
	s.open.Wait()
}

// valve is a toxic in both directions of every connection, from its start to its end. toxiproxy's
// own toxics are not used: adding one to an open connection and removing it can leave a goroutine
// behind that waits forever to pass on its last chunk (v2.12.0, link.go, RemoveToxic of a toxic
// that cleans up).
type valve struct {
	*state
	replies bool // the direction from the server to the client
}

// GetBufferSize implements toxics.BufferedToxic. It returns how many chunks may wait for their
// delay, which starts when the chunk is read from the server.
func (*valve) GetBufferSize() int { return 1024 }

// NewState implements toxics.StatefulToxic. toxiproxy calls it once for every connection, before
// any data can arrive: from here on Stop waits for this valve.
func (v *valve) NewState() any {
	v.open.Add(1)
	now, _ := v.get()
	return &passage{cuts: now.cuts, gap: noGap}
}

// passage is one connection's state in a valve.
type passage struct {
	cuts int  // calls of Cut before the connection was opened
	gap  int  // calls of Heal before the last lost reply, or noGap
	shut bool // the connection is closed
}

const noGap = -1

// Pipe implements toxics.Toxic. It returns when the source of the chunks is closed or the proxy is
// stopped.
func (v *valve) Pipe(stub *toxics.ToxicStub) {
	defer v.open.Done()
	p := stub.State.(*passage)
	for {
		now, changed := v.get()
		if p.mustClose(now) {
			p.close(stub)
		}
		select {
		case chunk := <-stub.Input:
			if chunk == nil {
				p.close(stub)
				return
			}
			v.pass(stub, p, chunk)
		case <-changed:
		case <-v.stopped:
			p.close(stub)
			for range stub.Input { // the sender waits until each chunk is received
			}
			return
		}
	}
}

// mustClose reports whether a cut or a lost reply requires that the connection be closed.
func (p *passage) mustClose(now setting) bool {
	return p.cuts != now.cuts || p.gap != noGap && p.gap != now.heals
}

// close closes the destination of the chunks, and with it the source.
func (p *passage) close(stub *toxics.ToxicStub) {
	p.shut = true
	stub.Close()
}

// pass sends one chunk to the destination after its delay, or drops it.
func (v *valve) pass(stub *toxics.ToxicStub, p *passage, chunk *stream.StreamChunk) {
	if !v.awaitDelay(p, chunk) {
		return
	}
	for {
		now, changed := v.get()
		switch {
		case p.mustClose(now):
			p.close(stub)
			return
		case now.drop && v.replies:
			p.gap = now.heals
			return
		}
		select {
		case stub.Output <- chunk:
			return
		case <-changed:
		case <-v.stopped: // the destination may no longer receive
			return
		}
	}
}

// awaitDelay waits until a chunk has been held back for the delay in force, which may change
// meanwhile. It returns false if the connection is closed or the proxy is stopped.
func (v *valve) awaitDelay(p *passage, chunk *stream.StreamChunk) bool {
	for !p.shut {
		now, changed := v.get()
		left := time.Until(chunk.Timestamp.Add(now.delay))
		if !v.replies || now.delay == 0 || left <= 0 || now.drop || p.mustClose(now) {
			return true
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-v.stopped:
			timer.Stop()
			return false
		}
		timer.Stop()
	}
	return false
}
