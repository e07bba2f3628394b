package runner

import (
	"runtime/debug"
	"sync"
)

// manyWorkers is how many make their memory worth more than the time of the collector.
const manyWorkers = 2000

// sooner counts the arms that asked for it, which may run side by side.
var sooner struct {
	mu   sync.Mutex
	arms int
	was  int // percent, before the first of them
}

// collectSooner has the garbage collector run twice as often, so that the memory that a
// large swarm keeps resident is little more than what it uses, until the returned function is
// called. A higher frequency that the environment asks for (GOGC) stays.
func collectSooner() (end func()) {
	const percent = 50
	sooner.mu.Lock()
	defer sooner.mu.Unlock()
	if sooner.arms++; sooner.arms == 1 {
		if sooner.was = debug.SetGCPercent(percent); sooner.was >= 0 && sooner.was < percent {
			debug.SetGCPercent(sooner.was)
		}
	}
	return func() {
		sooner.mu.Lock()
		defer sooner.mu.Unlock()
		if sooner.arms--; sooner.arms == 0 {
			debug.SetGCPercent(sooner.was)
		}
	}
}
