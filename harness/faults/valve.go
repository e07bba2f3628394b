package faults

import (
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// setting is what is done to replies at one moment.
type setting struct {
	drop  bool
	delay time.Duration
	cuts  int // connections that were opened before the last of them are to close
	heals int // and those that have lost something before the last of these
}

// state is a setting that many connections follow.
type state struct {
	mu      sync.Mutex
	now     setting
	changed chan struct{} // closed with every change, and replaced
	stopped chan struct{}
	open    sync.WaitGroup // of valves
}

func newState() *state {
	return &state{changed: make(chan struct{}), stopped: make(chan struct{})}
}

// get returns the setting in force and what is closed when it changes.
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

// stop ends every valve. The connections are closed by then, and none is opened.
func (s *state) stop() {
	close(s.stopped)
	s.open.Wait()
}

// valve stands in both ways of every connection, from the beginning. It is the only
// toxic there is, and stays: to add toxiproxy's own ones to connections that stand,
// and to remove them, can leave a goroutine behind that waits for ever to pass on its
// last piece (v2.12.0, link.go, RemoveToxic of a toxic that cleans up).
type valve struct {
	*state
	replies bool // it is the server's answers that come through here
}

// GetBufferSize is of toxics.BufferedToxic: how many pieces may wait for their time,
// each read from the server when it came.
func (*valve) GetBufferSize() int { return 1024 }

// NewState is of toxics.StatefulToxic. toxiproxy calls it once for every connection,
// before anything can come through: from here on Stop waits for its valve.
func (v *valve) NewState() any {
	v.open.Add(1)
	now, _ := v.get()
	return &passage{cuts: now.cuts, gap: noGap}
}

// passage is one connection's way through a valve.
type passage struct {
	cuts int  // before it was opened
	gap  int  // heals before the last loss, or noGap
	shut bool // nothing goes through any more
}

const noGap = -1

// Pipe is of toxics.Toxic. It returns when the side that the pieces come from is
// closed, or the proxy is stopped.
func (v *valve) Pipe(stub *toxics.ToxicStub) {
	defer v.open.Done()
	p := stub.State.(*passage)
	for {
		now, changed := v.get()
		if p.over(now) {
			p.close(stub)
		}
		select {
		case piece := <-stub.Input:
			if piece == nil {
				p.close(stub)
				return
			}
			v.pass(stub, p, piece)
		case <-changed:
		case <-v.stopped:
			p.close(stub)
			for range stub.Input { // whoever passes pieces on to here waits for each to be taken
			}
			return
		}
	}
}

// over says whether the connection is to be cut.
func (p *passage) over(now setting) bool {
	return p.cuts != now.cuts || p.gap != noGap && p.gap != now.heals
}

// close ends the side that the pieces go to, and with it the other.
func (p *passage) close(stub *toxics.ToxicStub) {
	p.shut = true
	stub.Close()
}

// pass gives one piece to the other side, when its time has come, or to nobody.
func (v *valve) pass(stub *toxics.ToxicStub, p *passage, piece *stream.StreamChunk) {
	if !v.due(p, piece) {
		return
	}
	for {
		now, changed := v.get()
		switch {
		case p.over(now):
			p.close(stub)
			return
		case now.drop && v.replies:
			p.gap = now.heals
			return
		}
		select {
		case stub.Output <- piece:
			return
		case <-changed:
		case <-v.stopped: // who is gone takes nothing
			return
		}
	}
}

// due waits until a piece has been held back for as long as is asked by then. False
// is that nobody waits for it any more.
func (v *valve) due(p *passage, piece *stream.StreamChunk) bool {
	for !p.shut {
		now, changed := v.get()
		left := time.Until(piece.Timestamp.Add(now.delay))
		if !v.replies || now.delay == 0 || left <= 0 || now.drop || p.over(now) {
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
