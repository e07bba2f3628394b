// Package stats estimates means and ratios of goodput, with their intervals.
package stats

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Bin is the stretch over which completed decisions are counted.
const Bin = 100 * time.Millisecond

// level is what bins say of the mean of a series.
type level struct {
	mean     float64
	variance float64 // of the mean, not of a bin
	df       float64
}

// fewestBatches is how many batches it takes to tell a variance by.
const fewestBatches = 5

// levelOf takes bins together to batches that are as long as a piece of work, for
// counts in less than that depend on each other: a worker that completes in one bin does
// not in the next, and locks that are in step by chance all do. A batch has about one
// completion of each lock, whatever their phases are (the method of batch means; Law
// and Kelton, Simulation Modeling and Analysis).
func levelOf(bins []float64, work time.Duration) level {
	batches := Batch(bins, work)
	_, variance := stat.MeanVariance(batches, nil)
	return level{Mean(bins), variance / float64(len(batches)), float64(len(batches) - 1)}
}

// Batch returns the means of batches. What is too little for another one is left out,
// at the beginning. Where there would be too few of them, bins stand for themselves.
func Batch(bins []float64, work time.Duration) (batches []float64) {
	n := int((work + Bin - 1) / Bin)
	if n < 1 || len(bins) < n*fewestBatches {
		n = 1
	}
	for i := len(bins) % n; i < len(bins); i += n {
		batches = append(batches, stat.Mean(bins[i:i+n], nil))
	}
	return batches
}

// Ratio estimates mean(after)/mean(before) over bins, where a piece of work takes
// that long. The interval misses the truth in a share of level of all cases (see Levels). It is
// Welch's, on the logarithm of the ratio (delta method), so it is wide where bins are few or
// uneven.
func Ratio(after, before []float64, work time.Duration, level float64) Interval {
	if len(after) < 2 || len(before) < 2 || Mean(before) == 0 {
		return Interval{Mid: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	a, b := levelOf(after, work), levelOf(before, work)
	if a.mean == 0 {
		return Interval{}
	}
	ua, ub := a.variance/(a.mean*a.mean), b.variance/(b.mean*b.mean)
	half := 0.0
	if ua+ub > 0 {
		df := (ua + ub) * (ua + ub) / (ua*ua/a.df + ub*ub/b.df)
		half = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(1-level/2) * math.Sqrt(ua+ub)
	}
	mid := a.mean / b.mean
	return Interval{Mid: mid, Low: mid * math.Exp(-half), High: mid * math.Exp(half)}
}

// steadyWithin is how wide the 95% interval of the mean of a steady baseline
// may be to either side, and how far its halves may lie apart, as a share of
// the mean. A wider baseline could not tell 90% of itself from 100%.
const steadyWithin = 0.15

// Steady reports whether bins are a baseline that something can be compared with, where
// a piece of work takes that long.
func Steady(bins []float64, work time.Duration) bool {
	if len(bins) < 4 || Mean(bins) == 0 {
		return false
	}
	l := levelOf(bins, work)
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: l.df}.Quantile(1-Level/2) * math.Sqrt(l.variance)
	batches := Batch(bins, work)
	first, second := batches[:len(batches)/2], batches[len(batches)/2:]
	drift := math.Abs(stat.Mean(first, nil) - stat.Mean(second, nil))
	return half <= steadyWithin*l.mean && drift <= steadyWithin*l.mean
}

// Median is of a set that is not empty; of an even number the mean of the middle two.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 || sorted[n/2-1] == sorted[n/2] {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func Mean(bins []float64) float64 {
	if len(bins) == 0 {
		return 0
	}
	return stat.Mean(bins, nil)
}
