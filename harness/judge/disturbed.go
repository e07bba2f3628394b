package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/triggers"
)

// An arm says something about a remedy only where nothing else acted on the server: a
// server that is stopped, and a limit that is set by hand, leave a history that
// looks like an incident or like a cure.

const (
	// silentFor is how long a server must have left everything unanswered to be called
	// silent. One that is only loaded answers some worker in less.
	silentFor = time.Second
	// silentAtEnd is the same for one that had not answered when the arm ended: how much
	// longer it would have been silent is not known.
	silentAtEnd = silentFor / 2
	// silentSamples is the least number of readings in a silence: where the machine
	// stood still, there are none.
	silentSamples = 4
	// working is the share of a silence that a server spends on a CPU if it is busy: one
	// in a storm of connections answers no client for seconds, and is not stopped.
	working = 0.1
	// resuming is how much longer than it was told to a paused server may be silent:
	// what has queued up is answered first.
	resuming = time.Second
)

// undisturbed doubts an arm in which the server was silent, or changed by another hand.
func undisturbed(e Evidence, out *ruling) bool {
	calm := true
	for _, s := range silences(e) {
		until := fmt.Sprintf("from %.1f s on", s.From.Seconds())
		if s.To >= e.Time.End {
			until = fmt.Sprintf("from %.1f s to the end", s.From.Seconds())
		}
		out.doubt("the server did not answer for %.1f s, %s, and nothing in this arm stops it",
			(s.To - s.From).Seconds(), until)
		calm = false
	}
	if at, was, is := changedLimit(e); is != was {
		out.doubt("maxclients was %d and is %d from %.1f s on, and nothing in this arm sets it: another client changed the server", was, is, at.Seconds())
		calm = false
	}
	return calm
}

// silences are the stretches from the baseline on in which the server answered neither
// lockjam nor any worker, did no work, and was not told by the trigger to be silent.
func silences(e Evidence) []history.Span {
	if !slices.ContainsFunc(e.History.Samples,
		func(s history.Sample) bool { return s.Server != nil && s.Server.CPU > 0 }) {
		return nil // an older journal: whether the server was busy cannot be known
	}
	if SleepsInHandshakes(e.Scenario, e.Arm) {
		return nil
	}
	var all []history.Span
	first, samples := 0, 0 // the last reading that was answered, and how many have not been since
	end := func(last int, to, least time.Duration) {
		a, b := e.History.Samples[first], e.History.Samples[last]
		s := unexplained(e, history.Span{From: max(a.At, judgedFrom(e)), To: to})
		if samples >= silentSamples && s.To-s.From >= least && cpuUsed(a, b).Seconds() < working*(b.At-a.At).Seconds() {
			all = append(all, s)
		}
	}
	for i, s := range e.History.Samples {
		if s.At > e.Time.End {
			break
		}
		if s.Server == nil && s.Error == sampler.NoAnswer && answers(s) == answers(e.History.Samples[first]) {
			if samples++; i == len(e.History.Samples)-1 || e.History.Samples[i+1].At > e.Time.End {
				end(i, e.Time.End, silentAtEnd)
			}
			continue
		}
		end(i, s.At, silentFor)
		first, samples = i, 0
	}
	return all
}

// SleepsInHandshakes reports whether clients make the server sleep as they connect, in
// place of the work that a handshake takes. Then it is silent and uses no CPU, and a
// server that is stopped looks the same.
func SleepsInHandshakes(sc *scenario.Scenario, arm scenario.Arm) bool {
	return sc.Swarm.Client.HandshakeMS > 0 || arm.Swarm != nil && arm.Swarm.Client.HandshakeMS > 0
}

// answers counts what a server has said to the workers, that it is full included.
func answers(s history.Sample) int64 { return s.Swarm.Commands + s.Swarm.Errors[history.Refused] }

// cpuUsed is the CPU time that the server has used between two readings, as seen from
// outside, or else as it says itself; 0 where neither is known.
func cpuUsed(a, b history.Sample) time.Duration {
	var used time.Duration
	switch {
	case a.ServerCPU > 0 && b.ServerCPU > 0:
		used = b.ServerCPU - a.ServerCPU
	case a.Server != nil && b.Server != nil:
		used = b.Server.CPU - a.Server.CPU
	}
	if used < 0 { // another process by now, which was busy starting
		return b.At - a.At
	}
	return used
}

// judgedFrom is where what is judged begins: with the baseline, if there is one.
func judgedFrom(e Evidence) time.Duration {
	if e.Time.Baseline.Empty() {
		return 0
	}
	return e.Time.Baseline.From
}

// unexplained leaves out of a silence what the trigger has brought about: a part at its
// beginning or at its end.
func unexplained(e Evidence, s history.Span) history.Span {
	t, _ := triggers.Find(e.Scenario.Trigger.Kind)
	if t.Silences == nil || e.Time.Trigger == history.Never {
		return s
	}
	told := history.Span{From: e.Time.Trigger - sampler.Every, To: e.Time.Trigger + t.Silences(e.Scenario.Trigger) +
		resuming}
	before, after := history.Span{From: s.From, To: min(s.To, told.From)},
		history.Span{From: max(s.From, told.To), To: s.To}
	if before.To-before.From > after.To-after.From {
		return before
	}
	return after
}

// changedLimit is when maxclients was first other than what the arm has set, and what it
// was and is then; the same twice if it never was.
func changedLimit(e Evidence) (at time.Duration, was, is int64) {
	was = int64(e.Scenario.Server.MaxClients)
	until := e.Time.End
	for _, s := range e.Time.steps {
		if strings.Contains(s.Did, "maxclients") { // from here on it is the remedy's
			until = min(until, e.Time.remedyBegun)
		}
	}
	for _, s := range e.History.Samples {
		if s.At < judgedFrom(e) || s.At > until || s.Server == nil || s.Server.MaxClients == 0 {
			continue
		}
		if was == 0 {
			was = s.Server.MaxClients
		}
		if s.Server.MaxClients != was {
			return s.At, was, s.Server.MaxClients
		}
	}
	return 0, was, was
}
