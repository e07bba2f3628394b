package swarm

import (
	"regexp"
	"strings"
	"time"
)

// Leak is how a service leaks connections: some path of its code checks a
// connection out of its client's pool, uses it once, and neither gives it back nor
// closes it.
type Leak struct {
	PerS     float64 // connections a second, over all instances in turn
	Count    int     // how many are leaked in all; then it ends
	PoolSize int     // of the client that leaks, in each instance; 0: it never stands in the way
}

// leakSuffix ends the name of a client that leaks.
const leakSuffix = "-leak"

// Leaks says of a name in CLIENT LIST whether it is a leaking client's. Its
// connections are idle and will not be used again, and until their process ends
// they are not closed either.
func Leaks(client string) bool { return strings.HasSuffix(client, leakSuffix) }

// owned matches what follows the swarm's own name in those of its clients.
var owned = regexp.MustCompile(`^-(crowd|r?\d+(-\d+)?(-g\d+)?(-leak)?)$`)

// Owns reports whether a client, by its name in CLIENT LIST, belongs to the swarm that
// has this Config.Name.
func Owns(swarm, client string) bool {
	rest, ok := strings.CutPrefix(client, swarm)
	return ok && owned.MatchString(rest)
}

// Leak makes the service leak connections from now on. It returns at once. A
// connection that is refused, or that the pool has no turn for, is not leaked: some
// later request tries again. The leak ends with the swarm, if not before; what an
// instance has leaked is closed when the instance ends, and not before.
func (s *Swarm) Leak(l Leak) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.running.Go(func() {
		tick := time.NewTicker(time.Duration(float64(time.Second) / l.PerS))
		defer tick.Stop()
		for leaked, turn := 0, 0; leaked < l.Count; turn++ {
			select {
			case <-s.life.Done():
				return
			case <-tick.C:
			}
			if s.leakOne(turn, l) {
				leaked++
			}
		}
	})
}

// leakOne checks one connection out in the instance whose turn it is.
func (s *Swarm) leakOne(turn int, l Leak) bool {
	s.mu.Lock()
	in := s.instances[turn%len(s.instances)]
	if in.term.Err() != nil { // it takes no requests any more
		s.mu.Unlock()
		return false
	}
	c := s.leaking(in, l)
	s.mu.Unlock()
	conn := c.lib.conn()
	if conn.session().ping(in.life) != nil {
		conn.close()
		return false
	}
	// A connection that is collected as garbage is closed.
	s.mu.Lock()
	defer s.mu.Unlock()
	in.leaked = append(in.leaked, conn)
	return true
}

// leaking is the client that an instance leaks from. It needs s.mu.
func (s *Swarm) leaking(in *instance, l Leak) *client {
	if in.leaks == nil {
		o := in.settings.Client
		if o.PoolSize = l.PoolSize; o.PoolSize == 0 {
			o.PoolSize = l.Count
		}
		in.leaks = s.newClient(s.name("%d", in.number)+leakSuffix, &o, in.life)
		in.clients = append(in.clients, in.leaks)
	}
	return in.leaks
}
