package server

import (
	"sync/atomic"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// CPUTimer is offered by a server whose process can be seen from outside: it tells a
// server that is stopped from one that is too busy to answer.
type CPUTimer interface {
	// CPUTime is what the server's process has used since it was started, in user and in
	// system mode, to the kernel's clock tick (10 ms); 0 where it cannot be seen. It may be
	// called at any time.
	CPUTime() time.Duration
}

// usage is the CPU time of a process of this machine, which a restart replaces.
type usage struct{ pid atomic.Int32 } // 0: not known

// CPUTime implements CPUTimer.
func (u *usage) CPUTime() time.Duration {
	pid := u.pid.Load()
	if pid == 0 {
		return 0
	}
	times, err := (&process.Process{Pid: pid}).Times()
	if err != nil {
		return 0
	}
	return time.Duration((times.User + times.System) * float64(time.Second))
}
