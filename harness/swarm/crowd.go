package swarm

import (
	"context"
	"time"
)

// crowdRedials is how long a refused client of a crowd waits.
const crowdRedials = 10 * time.Millisecond

// Crowd brings so many connections that are not the service's, as a batch job does
// or the deployment of another service: all come at once, a refused client tries
// again, and all leave when the time is over or the swarm stops. It returns at once.
func (s *Swarm) Crowd(connections int, stay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	life, leave := context.WithTimeout(s.life, stay)
	o := s.config.Settings.Client
	o.PoolSize = connections
	c := s.newClient(s.name("crowd"), &o, life)
	for range connections {
		s.running.Go(func() {
			for {
				conn := c.lib.conn()
				if conn.session().ping(life) == nil {
					<-life.Done()
				}
				conn.close()
				if !sleep(life, crowdRedials) {
					return
				}
			}
		})
	}
	s.running.Go(func() {
		<-life.Done() // which closes their connections
		leave()
		c.lib.close()
	})
}
