package harness

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/scenario"
)

// ErrorReply is how often Redis answered the workers with an error of one prefix, over
// the whole arm.
type ErrorReply struct {
	Prefix string `json:"prefix"` // its first word, such as OOM; "other" for texts without one
	Count  int64  `json:"count"`
	First  string `json:"first"` // the text of the first, without control characters and arguments
	Last   string `json:"last"`
}

// errorReplies puts what the workers were answered into the result: none where the
// journal, an older one, has no prefixes.
func (j *judge) errorReplies() {
	all := j.lastSwarm().Replies
	for _, prefix := range all.Prefixes() {
		r := all[prefix]
		j.r.ErrorReplies = append(j.r.ErrorReplies, ErrorReply{prefix, r.Count, r.First, r.Last})
	}
	for i, p := range j.t.phases() {
		grown := j.sampleAt(p.to).Replies.Since(j.sampleAt(p.from).Replies)
		for prefix, r := range grown {
			if j.r.Phases[i].ErrorReplies == nil {
				j.r.Phases[i].ErrorReplies = map[string]int64{}
			}
			j.r.Phases[i].ErrorReplies[prefix] = r.Count
		}
	}
}

// lastSwarm is the workers' own count at the end of the last phase: what is asked and tried
// after it counts for nothing.
func (j *judge) lastSwarm() history.Swarm {
	if phases := j.t.phases(); len(phases) > 0 {
		return j.sampleAt(phases[len(phases)-1].to)
	}
	if len(j.h.Samples) == 0 {
		return history.Swarm{}
	}
	return j.h.Samples[len(j.h.Samples)-1].Swarm
}

// Answered says how often Redis answered the workers with which error, in a clause such
// as "Redis answered 21,654 commands with OOM"; "" where it never did.
func (a ArmResult) Answered() string { return answered(a.ErrorReplies, 0) }

// answered is Answered, of so many commands in all; 0 where that is not known.
func answered(replies []ErrorReply, of int64) string {
	var total int64
	var each []string
	for _, r := range replies {
		total += r.Count
		text := ""
		if r.First != "" {
			text = fmt.Sprintf(" (%q)", r.First)
		}
		each = append(each, r.Prefix+" "+Grouped(r.Count)+text)
	}
	switch len(replies) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("Redis answered %s with %s", share(total, of), strings.Replace(each[0], " "+Grouped(total), "", 1))
	}
	return fmt.Sprintf("Redis answered %s with an error: %s", share(total, of), strings.Join(each, ", "))
}

// share is a number of commands, of all where their number is known.
func share(n, of int64) string {
	words := "commands"
	if of == 1 || of == 0 && n == 1 {
		words = "command"
	}
	if of == 0 {
		return Grouped(n) + " " + words
	}
	return Grouped(n) + " of " + Grouped(of) + " " + words
}

// noBaseline is why there is no steady baseline, and what Redis answered meanwhile.
func (j *judge) noBaseline() string {
	w := j.lastSwarm()
	said := answered(j.r.ErrorReplies, w.Commands)
	if rejected := w.Errors[history.Rejected]; said == "" && rejected > 0 { // an older journal
		said = fmt.Sprintf("Redis answered %s with an error", share(rejected, w.Commands))
	}
	switch {
	case refusedThroughout(j.h.Samples, j.sc):
		return fmt.Sprintf("no steady baseline: %s, and no lock was granted and nothing decided for the last %.1f s",
			said, refusedFor(j.sc).Seconds())
	case said != "":
		return fmt.Sprintf("no steady baseline within %v: %s", j.sc.Phases.BaselineMaxMS.Duration(), said)
	}
	return fmt.Sprintf("no steady baseline within %v", j.sc.Phases.BaselineMaxMS.Duration())
}

// refusedFor is how long Redis must have refused everything to make it clear that there
// will be no baseline: as long as the baseline itself is to be, and the work of those who
// may have held a lock at its beginning.
func refusedFor(sc *scenario.Scenario) time.Duration {
	return sc.Phases.BaselineMS.Duration() + sc.Swarm.Lock.HoldMS.Duration()
}

// refusedThroughout reports whether for refusedFor, up to the last sample, no lock was
// granted or released and nothing was decided, while Redis answered commands with errors
// in the first half of that time and in the second.
func refusedThroughout(samples []history.Sample, sc *scenario.Scenario) bool {
	if len(samples) == 0 {
		return false
	}
	last := samples[len(samples)-1]
	since := func(d time.Duration) (history.Sample, bool) {
		i, exact := slices.BinarySearchFunc(samples, last.At-d,
			func(s history.Sample, at time.Duration) int { return cmp.Compare(s.At, at) })
		if !exact {
			i--
		}
		if i < 0 {
			return history.Sample{}, false
		}
		return samples[i], true
	}
	first, ok := since(refusedFor(sc))
	if !ok || first.Swarm.Workers == 0 {
		return false
	}
	half, _ := since(refusedFor(sc) / 2)
	a, m, b := first.Swarm, half.Swarm, last.Swarm
	rejected := func(s history.Swarm) int64 { return s.Errors[history.Rejected] }
	return a.Grants == b.Grants && a.Releases == b.Releases && a.Decisions == b.Decisions &&
		rejected(a) < rejected(m) && rejected(m) < rejected(b)
}

// Grouped writes a count with its thousands apart: 21,654.
func Grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// repliesPerSecond is by how much error replies grew between two readings, so many seconds
// apart.
func repliesPerSecond(first, last history.Replies, over float64) map[string]float64 {
	rates := map[string]float64{}
	for prefix, r := range last.Since(first) {
		if over > 0 {
			rates[prefix] = round(float64(r.Count)/over, 1)
		}
	}
	return rates
}
