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

// Proxy is a toxiproxy on 127.0.0.1 in front of one server, without toxiproxy's HTTP server,
// metrics and log. It passes bytes on unchanged, including TLS and credentials, and does not
// interpret them.
type Proxy struct {
	proxy *toxiproxy.Proxy
	state *state
	once  sync.Once
}

// valveType is the name of valve in toxiproxy's registry.
const valveType = "lockjam-valve"

// register adds valve to toxiproxy's registry, which is global to the process.
var register = sync.OnceFunc(func() { toxics.Register(valveType, new(valve)) })

// Start listens on a free port of 127.0.0.1 and forwards connections to the server at upstream,
// host:port. Stop ends the proxy. The error says why the proxy cannot listen.
func Start(upstream string) (*Proxy, error) {
	register()
	p := &Proxy{state: newState()}
	log := zerolog.Nop()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log)
	p.proxy = toxiproxy.NewProxy(server, "lockjam", "127.0.0.1:0", upstream)
	for _, direction := range []stream.Direction{stream.Upstream, stream.Downstream} {
		if err := p.addValve(direction); err != nil {
			return nil, fmt.Errorf("set up a proxy for %s: %w", upstream, err)
		}
	}
	if err := p.proxy.Start(); err != nil {
		return nil, fmt.Errorf("start a proxy for %s: %w", upstream, err)
	}
	return p, nil
}

// addValve adds a valve for one direction. toxiproxy itself creates toxics, from JSON, so the valve
// gets its state afterwards; no connection can use it before, because the proxy does not listen
// yet.
func (p *Proxy) addValve(direction stream.Direction) error {
	description := fmt.Sprintf(`{"type": %q, "stream": %q}`, valveType, direction)
	made, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(description))
	if err != nil {
		return err
	}
	v, ok := made.Toxic.(*valve)
	if !ok {
		return fmt.Errorf("toxiproxy created a %T instead of a valve", made.Toxic)
	}
	v.state, v.replies = p.state, direction == stream.Downstream
	return nil
}

// Addr returns the address on which the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.proxy.Listen }

// DropReplies implements Network.
func (p *Proxy) DropReplies() { p.state.set(func(s *setting) { s.drop = true }) }

// DelayReplies implements Network.
func (p *Proxy) DelayReplies(by time.Duration) { p.state.set(func(s *setting) { s.delay = by }) }

// Cut implements Network.
func (p *Proxy) Cut() { p.state.set(func(s *setting) { s.cuts++ }) }

// Heal implements Network.
func (p *Proxy) Heal() {
	p.state.set(func(s *setting) { s.drop, s.delay, s.heals = false, 0, s.heals+1 })
}

// Stop closes the listener and every connection, and returns once every valve has ended. Calling it
// again does nothing.
func (p *Proxy) Stop() {
	p.once.Do(func() {
		p.proxy.Stop()
		p.state.stop()
	})
}
