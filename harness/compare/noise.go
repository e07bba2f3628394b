package compare

import (
	"cmp"
	"math"
	"slices"

	moremath "github.com/aclements/go-moremath/stats"

	"github.com/lockjam/lockjam/harness/stats"
)

// Alpha is how often, of comparisons in which nothing has changed, a rule calls a
// difference more than noise all the same.
const Alpha = 0.05

// The method is benchstat's: the Mann-Whitney U test asks of two sets of repeats
// whether values of one tend to be larger, and takes nothing for granted of how they
// are distributed (Mann and Whitney, "On a test of whether one of two random variables
// is stochastically larger than the other", 1947). It is exact for the repeats that
// people have time for. A value that never came is larger than any other.
//
// A table of hundreds of figures has false alarms at 5% each. Holm's correction bounds
// the chance of a single one, over all figures of a rule, by Alpha (Holm, "A simple
// sequentially rejective multiple test procedure", 1979). It assumes nothing of how
// they depend on each other.

// tested is the answer of the test.
type tested struct {
	p       float64 // of a difference as large as this by chance
	towards int     // +1: the second set is larger, -1: smaller
}

// mannWhitney compares two sets of values, neither empty, nor both of one value. The library's own test is
// exact only for sets of one size where values are tied, and its distribution only with
// the larger set first; the test of this file counts all cases and agrees.
func mannWhitney(before, after []float64) tested {
	if len(before) < len(after) {
		t := mannWhitney(after, before)
		return tested{t.p, -t.towards}
	}
	ties := ties(before, after)
	limit := moremath.MannWhitneyExactLimit
	if slices.Max(ties) > 1 {
		limit = moremath.MannWhitneyTiesExactLimit
	}
	u := above(before, after)
	t := tested{p: 1, towards: cmp.Compare(float64(len(before)*len(after))/2, u)}
	if len(before) <= limit {
		d := moremath.UDist{N1: len(before), N2: len(after), T: ties}
		t.p = min(1, 2*min(d.CDF(u), 1-d.CDF(u-d.Step())))
	} else if approximate, err := moremath.MannWhitneyUTest(before, after, moremath.LocationDiffers); err == nil {
		t.p = min(1, approximate.P)
	}
	return t
}

// above is the U statistic: how many pairs have the larger value in the first set, ties
// counting half.
func above(a, b []float64) (u float64) {
	for _, x := range a {
		for _, y := range b {
			u += 0.5 * float64(1+cmp.Compare(x, y))
		}
	}
	return u
}

// ties counts how often each value is there, in both sets together, the smallest first.
func ties(before, after []float64) []int {
	all := slices.Sorted(slices.Values(slices.Concat(before, after)))
	var counts []int
	for i, v := range all {
		if i == 0 || v != all[i-1] {
			counts = append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return counts
}

// holm corrects p values for being many: what it returns is to be compared with Alpha
// as if each were the only one.
func holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	corrected := make([]float64, len(p))
	at := 0.0
	for rank, i := range order {
		at = max(at, min(1, float64(len(p)-rank)*p[i]))
		corrected[i] = at
	}
	return corrected
}

// smallestP is what the test comes to for repeats that do not overlap at all: if even
// that is more than noise allows, there are too few.
func smallestP(before, after int) float64 {
	return min(1, 2/binomial(before+after, before))
}

// enough is how many repeats each would have been enough to tell one of n figures.
func enough(n int) int {
	repeats := 2
	for smallestP(repeats, repeats)*float64(n) > Alpha {
		repeats++
	}
	return repeats
}

func binomial(n, k int) float64 {
	v := 1.0
	for i := 1; i <= k; i++ {
		v *= float64(n-k+i) / float64(i)
	}
	return v
}

// Shift is by how much values moved: the median of all differences between one of the
// second run and one of the first, with its 95% interval, which fits the test (Hodges
// and Lehmann, "Estimates of location based on rank tests", 1963). Null where a value
// never came, and the interval also where there are too few repeats for one.
type Shift struct {
	By   float64  `json:"by"`
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`

	// The same as a share of the first run's median; null where that is 0.
	Share *float64 `json:"share"`
}

// shift is nil where either side is empty or has a value that never came.
func shift(before, after []float64) *Shift {
	never := func(v float64) bool { return math.IsInf(v, 0) }
	if len(before) == 0 || len(after) == 0 || slices.ContainsFunc(before, never) || slices.ContainsFunc(after, never) {
		return nil
	}
	var apart []float64
	for _, b := range before {
		for _, a := range after {
			apart = append(apart, a-b)
		}
	}
	s := &Shift{By: stats.Median(apart)}
	slices.Sort(apart)
	if k := outside(len(before), len(after)); k > 0 {
		low, high := apart[k-1], apart[len(apart)-k]
		s.Low, s.High = &low, &high
	}
	if m := stats.Median(before); m != 0 {
		share := s.By / m
		s.Share = &share
	}
	return s
}

// outside is how many of the differences lie beyond either end of the interval: the
// largest k for which the U statistic is under k in at most 2.5% of all cases.
func outside(before, after int) int {
	if before+after > 2*moremath.MannWhitneyExactLimit {
		n, m := float64(before), float64(after)
		return int(n*m/2 - 1.96*math.Sqrt(n*m*(n+m+1)/12))
	}
	u := moremath.UDist{N1: before, N2: after}
	k := 0
	for u.CDF(float64(k)) <= Alpha/2 {
		k++
	}
	return k
}
