package runner

import (
	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// planOf sums up the tasks of a run.
func planOf(o Options, tasks []*task) *result.Plan {
	p := &result.Plan{Total: len(tasks), Repeat: max(o.Repeat, 1), Parallel: max(o.Parallel, 1),
		Arms: []result.PlannedArm{}}
	for _, t := range tasks {
		if t.repeat == 1 {
			p.Arms = append(p.Arms, result.PlannedArm{Scenario: t.sc.Name, Arm: t.arm.Name, Image: t.on(),
				AboutMS: text.Millis(t.length())})
		}
	}
	return p
}

func sampleEvent(s history.Sample) result.Event {
	load := result.Load{Decisions: s.Swarm.Decisions, Workers: s.Swarm.Workers, Waiting: s.Swarm.Waiting +
		s.Swarm.Dialing}
	if s.Server != nil {
		load.Connected, load.MaxClients, load.Rejected = s.Server.Connected, s.Server.MaxClients, s.Server.Rejected
	}
	for prefix, r := range s.Swarm.Replies {
		if load.ErrorReplies == nil {
			load.ErrorReplies = map[string]int64{}
		}
		load.ErrorReplies[prefix] = r.Count
	}
	return result.Event{Kind: result.Sampled, AtMS: text.Millis(s.At), Load: &load}
}
