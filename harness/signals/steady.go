package signals

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// What a level may vary by in a steady baseline: a piece of it by a third of its share and
// the first half by a seventh, or by what comes about by chance, or by next to nothing. A
// signal that compares fires at half of the usual level or at twice as much.
const (
	pieceWithin = 0.35 // of what a piece should have
	halfWithin  = 0.15 // of what the first half should have
	chance      = 3    // times the root of a count
	handful     = 5    // commands, or keys
	pieces      = 5    // that a baseline is cut into
	fewLooks    = 3    // at the lock keys
)

// piece is something that was counted in some time.
type piece struct {
	count float64
	took  float64 // in any unit
}

// even reports whether counts are those of one steady rate: none is far from its share of
// all, and neither is what came first. At a ramp it is the latter that shows.
func even(all []piece) bool {
	var sum, first piece
	for i, p := range all {
		sum.count, sum.took = sum.count+p.count, sum.took+p.took
		if i < len(all)/2 {
			first = sum
		}
	}
	near := func(p piece, part float64) bool {
		expected := sum.count * p.took / sum.took
		return math.Abs(p.count-expected) <= max(part*expected, chance*math.Sqrt(expected), handful)
	}
	for _, p := range all {
		if !near(p, pieceWithin) {
			return false
		}
	}
	return near(first, halfWithin)
}

// cut divides what lies between two samples into pieces that are alike in length, as far as
// the samples allow; the last may be shorter.
func (c counter) cut(first, last int, length time.Duration) (all []piece) {
	from := first
	for i := first + 1; i <= last; i++ {
		if c.took(from, i) >= length || i == last {
			all = append(all, piece{float64(c.grown(from, i)), c.took(from, i).Seconds()})
			from = i
		}
	}
	return all
}

// unsteady says how the rate of a count varies in a span by more than chance explains, ""
// where it does not.
func (c counter) unsteady(unit string, in Span) string {
	first, last, ok := c.ends(in)
	if !ok {
		return NoBaseline
	}
	const apart = 2 * sampledEveryMS * time.Millisecond // from the ends of the span to the samples
	whole := in.To - in.From
	all := c.cut(first, last, whole/pieces)
	if len(all) < 2 || c.took(first, last) < whole*3/4-apart {
		return "the server did not answer often enough in the baseline to see that it is steady"
	}
	if even(all) {
		return ""
	}
	low, high := math.Inf(1), 0.0
	for _, p := range all {
		low, high = min(low, p.count/p.took), max(high, p.count/p.took)
	}
	return notSteady(low, high, unit)
}

// unsteadyKeys is unsteady for the number of lock keys, look by look.
func unsteadyKeys(looks []history.Sample) string {
	all := make([]piece, len(looks))
	low, high := math.Inf(1), 0.0
	for i, s := range looks {
		keys := float64(s.Locks.Keys)
		all[i], low, high = piece{keys, 1}, min(low, keys), max(high, keys)
	}
	if even(all) && !rising(all) {
		return ""
	}
	return notSteady(low, high, "lock keys")
}

// rising reports whether counts only grow, and by more than a little. A few of them may do so
// by chance; a later stretch is steady then.
func rising(all []piece) bool {
	up := slices.IsSortedFunc(all, func(a, b piece) int { return cmp.Compare(a.count, b.count) })
	first, last := all[0].count, all[len(all)-1].count
	return up && last-first > max(halfWithin*first, handful)
}

func notSteady(low, high float64, unit string) string {
	return fmt.Sprintf("no steady baseline yet: from %.0f to %.0f %s", max(low, 0), high, unit)
}
