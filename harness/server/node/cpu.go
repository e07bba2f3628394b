package node

import (
	"sync/atomic"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// CPU measures the CPU time of a process of this machine, which a restart replaces.
type CPU struct{ pid atomic.Int32 } // 0: not known

// Watch sets the process to measure.
func (u *CPU) Watch(pid int) { u.pid.Store(int32(pid)) }

// CPUTime implements server.CPUTimer.
func (u *CPU) CPUTime() time.Duration {
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
