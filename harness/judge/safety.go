package judge

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// safety counts what a lock and a limiter must never let happen, from the
// remedy on (or from the start, where there is none): a remedy that restores
// goodput and breaks one of these is unsafe.
func safety(e Evidence, out *ruling) {
	out.Safety = violationsFrom(e.History, safeFrom(e), e.Scenario.Swarm)
	out.Unsafe = (e.Time.remedyBegun != history.Never || e.Arm.Prevention != "") && out.Safety != (result.Safety{})
}

// safeFrom is the moment from which faults count.
func safeFrom(e Evidence) time.Duration {
	if e.Scenario.Trigger.Kind == triggers.None || e.Arm.Prevention != "" {
		return 0
	}
	return max(e.Time.remedyBegun, 0)
}

// violationsSince counts those from some moment on.
func violationsFrom(h *history.History, from time.Duration, set swarm.Settings) (s result.Safety) {
	byTenant, byLock, writes := map[int32][]history.Op{}, map[int32][]history.Op{}, map[int32][]history.Op{}
	for _, op := range h.Ops {
		if op.Count != 0 { // also without a lock
			writes[op.Tenant] = append(writes[op.Tenant], op)
		}
		if op.Granted != history.Never {
			byTenant[op.Tenant] = append(byTenant[op.Tenant], op)
			lock := op.Tenant
			if partner, ok := set.Lock.Partner(op.Tenant); ok {
				lock = min(lock, partner) // a holder of one has both
			}
			byLock[lock] = append(byLock[lock], op)
		}
	}
	byGrant := func(a, b history.Op) int { return cmp.Compare(a.Granted, b.Granted) }
	for _, grants := range byLock {
		slices.SortFunc(grants, byGrant)
		s.Overlaps += overlaps(grants, from)
	}
	for _, grants := range byTenant {
		slices.SortFunc(grants, byGrant)
		s.FencingRegressions += fencingRegressions(grants, from)
		for _, op := range grants {
			// Its token was gone when it came to release: another client deleted a
			// living worker's lock, or let it expire.
			if op.Released >= from && op.Class == history.Conflict {
				s.ForeignReleases++
			}
		}
	}
	for _, written := range writes {
		lost, over := counterViolations(written, from, set.Limiter.Limit)
		s.LostUpdates += lost
		s.OverAdmitted += over
	}
	return s
}

// overlaps counts grants that fell into another's hold. A hold is counted from
// the moment its grant was known to the worker to the moment its work was done:
// in between it relied on the lock without doubt. A crashed worker relies on
// nothing.
func overlaps(grants []history.Op, from time.Duration) (n int64) {
	relied := history.Never // until when some earlier holder relied on the lock
	for _, op := range grants {
		if op.Granted >= from && op.Granted < relied {
			n++
		}
		until := op.Worked
		if until == history.Never {
			until = op.Ended
		}
		relied = max(relied, until)
	}
	return n
}

// fencingRegressions counts grants whose fencing token is not higher than an
// earlier grant's. A storage that checks tokens would turn their writes away.
func fencingRegressions(grants []history.Op, from time.Duration) (n int64) {
	var highest int64
	for _, op := range grants {
		if op.Fence == 0 {
			continue // cut off before it had a token
		}
		if op.Granted >= from && op.Fence <= highest {
			n++
		}
		highest = max(highest, op.Fence)
	}
	return n
}

// counterViolations looks at what was written to the request counters. Two writes
// of the same count in one window are one update lost; admissions beyond the
// limit are what the limiter is there to prevent.
func counterViolations(writes []history.Op, from time.Duration, limit int64) (lost, over int64) {
	written := map[int64]map[int64]bool{}
	admitted := map[int64]int64{}
	for _, op := range writes {
		if !op.Admitted || op.Count == 0 {
			continue
		}
		counts := written[op.Window]
		if counts == nil {
			counts = map[int64]bool{}
			written[op.Window] = counts
		}
		if counts[op.Count] && op.Ended >= from {
			lost++
		}
		counts[op.Count] = true
		admitted[op.Window]++
		if admitted[op.Window] > limit && op.Ended >= from {
			over++
		}
	}
	return lost, over
}
