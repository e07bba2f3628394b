package faults

import (
	"fmt"
	"strings"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// Proxy is a toxiproxy on 127.0.0.1 in front of one server: without its HTTP server,
// its metrics and its log. It passes bytes on as they are, TLS and credentials
// included, and knows nothing of what they mean.
type Proxy struct {
	proxy *toxiproxy.Proxy
	state *state
	once  sync.Once
}

// valveType is what the toxic of a Proxy is called in toxiproxy's registry.
const valveType = "lockjam-valve"

// register makes the valve known to toxiproxy, whose registry is the process's.
var register = sync.OnceFunc(func() { toxics.Register(valveType, new(valve)) })

// Start listens on a free port of 127.0.0.1 and connects whoever dials it to the
// server at upstream, host:port. Stop ends it. The error says why it cannot listen.
func Start(upstream string) (*Proxy, error) {
	register()
	p := &Proxy{state: newState()}
	log := zerolog.Nop()
	p.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log), "lockjam", "127.0.0.1:0", upstream)
	for _, direction := range []stream.Direction{stream.Upstream, stream.Downstream} {
		if err := p.valve(direction); err != nil {
			return nil, fmt.Errorf("set up a proxy for %s: %w", upstream, err)
		}
	}
	if err := p.proxy.Start(); err != nil {
		return nil, fmt.Errorf("start a proxy for %s: %w", upstream, err)
	}
	return p, nil
}

// valve puts one in the way of a direction. toxiproxy makes its toxics itself, from
// JSON; there is no connection yet that could be given this one before it knows its
// state.
func (p *Proxy) valve(direction stream.Direction) error {
	made, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": %q, "stream": %q}`, valveType, direction)))
	if err != nil {
		return err
	}
	v, ok := made.Toxic.(*valve)
	if !ok {
		return fmt.Errorf("toxiproxy made a %T", made.Toxic)
	}
	v.state, v.replies = p.state, direction == stream.Downstream
	return nil
}

// Addr is where it listens, host:port.
func (p *Proxy) Addr() string { return p.proxy.Listen }

// DropReplies is of Network.
func (p *Proxy) DropReplies() { p.state.set(func(s *setting) { s.drop = true }) }

// DelayReplies is of Network.
func (p *Proxy) DelayReplies(by time.Duration) { p.state.set(func(s *setting) { s.delay = by }) }

// Cut is of Network.
func (p *Proxy) Cut() { p.state.set(func(s *setting) { s.cuts++ }) }

// Heal is of Network.
func (p *Proxy) Heal() {
	p.state.set(func(s *setting) { s.drop, s.delay, s.heals = false, 0, s.heals+1 })
}

// Stop closes the listener and every connection, and returns when nothing of them
// is left to be passed on. Calling it again does nothing.
func (p *Proxy) Stop() {
	p.once.Do(func() {
		p.proxy.Stop()
		p.state.stop()
	})
}
