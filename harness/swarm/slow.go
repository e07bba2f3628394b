package swarm

import "time"

// SlowWork makes the work under a lock take so long from now on, for every worker,
// whatever the settings say; those of a rollout too, for it is what the work depends
// on that has become slow. Work that has begun takes as long as it would have.
func (s *Swarm) SlowWork(hold time.Duration) { s.slow.Store(int64(hold)) }
