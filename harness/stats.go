package harness

import (
	"math"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// bin is the stretch over which completed decisions are counted. Means of bins
// this long are close to independent where a decision takes a tenth of it.
const bin = 100 * time.Millisecond

// interval is an estimate with its 95% interval.
type interval struct{ mid, low, high float64 }

// ratio estimates mean(after)/mean(before) over bins. The interval is Welch's,
// on the logarithm of the ratio (delta method), so it is wide where bins are few
// or uneven.
func ratio(after, before []float64) interval {
	a, va := stat.MeanVariance(after, nil)
	b, vb := stat.MeanVariance(before, nil)
	if len(after) < 2 || len(before) < 2 || b == 0 {
		return interval{mid: math.NaN(), low: math.NaN(), high: math.NaN()}
	}
	if a == 0 {
		return interval{}
	}
	ua := va / float64(len(after)) / (a * a)
	ub := vb / float64(len(before)) / (b * b)
	half := 0.0
	if ua+ub > 0 {
		df := (ua + ub) * (ua + ub) / (ua*ua/float64(len(after)-1) + ub*ub/float64(len(before)-1))
		half = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(0.975) * math.Sqrt(ua+ub)
	}
	mid := a / b
	return interval{mid: mid, low: mid * math.Exp(-half), high: mid * math.Exp(half)}
}

// steadyWithin is how wide the 95% interval of the mean of a steady baseline
// may be to either side, and how far its halves may lie apart, as a share of
// the mean. A wider baseline could not tell 90% of itself from 100%.
const steadyWithin = 0.15

// steady says whether bins are a baseline that something can be compared with.
func steady(bins []float64) bool {
	if len(bins) < 4 {
		return false
	}
	mean, sd := stat.MeanStdDev(bins, nil)
	if mean == 0 {
		return false
	}
	n := float64(len(bins))
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * sd / math.Sqrt(n)
	first, second := bins[:len(bins)/2], bins[len(bins)/2:]
	drift := math.Abs(stat.Mean(first, nil) - stat.Mean(second, nil))
	return half <= steadyWithin*mean && drift <= steadyWithin*mean
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
