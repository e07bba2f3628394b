package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Level is the share of intervals that may miss the truth, over all looks together.
const Level = 0.05

// Levels returns, for looks at these shares of the planned information (increasing, at most
// 1), the two-sided level that each may use so that an interval misses the truth at any of
// them with a chance of Level at most. Little is spent early: a first look decides only what
// is far from the threshold.
//
// It is the error spending function of Lan and DeMets (Biometrika 70, 1983) that gives the
// boundaries of O'Brien and Fleming (Biometrics 35, 1979), with the recursion of Armitage,
// McPherson and Rowe (JRSS A 132, 1969). The levels are applied to Student's distribution, as
// Jennison and Turnbull advise for an unknown variance (Group Sequential Methods, 2000, 4.4).
func Levels(shares []float64) []float64 {
	levels := make([]float64, len(shares))
	var w walk
	spent := 0.0
	for k, share := range shares {
		total := spentBy(share)
		bound := w.boundary(share, total-spent)
		w = w.next(share, bound)
		spent = total
		levels[k] = 2 * distuv.UnitNormal.Survival(bound)
	}
	return levels
}

// spentBy is how much of Level may be spent up to this share of the information, half of it
// on either side.
func spentBy(share float64) float64 {
	const side = Level / 2
	return 2 * 2 * distuv.UnitNormal.Survival(distuv.UnitNormal.Quantile(1-side/2)/math.Sqrt(min(share, 1)))
}

// walk is the distribution, on a grid, of a Brownian motion that no look has stopped so far.
// The zero value is one that has not been looked at.
type walk struct {
	at      float64   // its time
	edge    float64   // the grid reaches from -edge to edge
	density []float64 // at each point of the grid; nil before the first look
}

// gridPoints are enough for levels that are right to four digits; odd, for Simpson's rule.
const gridPoints = 401

func (w walk) point(i int) float64 { return -w.edge + 2*w.edge*float64(i)/(gridPoints-1) }

// weight is Simpson's.
func (w walk) weight(i int) float64 {
	h := 2 * w.edge / (gridPoints - 1)
	switch {
	case i == 0 || i == gridPoints-1:
		return h / 3
	case i%2 == 1:
		return 4 * h / 3
	}
	return 2 * h / 3
}

// exit is the chance that the walk, seen next at that time, is beyond the bound, in
// standard deviations.
func (w walk) exit(at, bound float64) float64 {
	edge := bound * math.Sqrt(at)
	if w.density == nil {
		return 2 * distuv.UnitNormal.Survival(bound)
	}
	sd := math.Sqrt(at - w.at)
	sum := 0.0
	for i, d := range w.density {
		u := w.point(i)
		sum += w.weight(i) * d * (distuv.UnitNormal.Survival((edge-u)/sd) + distuv.UnitNormal.CDF((-edge-u)/sd))
	}
	return sum
}

// boundary is the bound that is passed at that time with this chance.
func (w walk) boundary(at, chance float64) float64 {
	low, high := 0.0, 20.0
	for range 60 {
		if mid := (low + high) / 2; w.exit(at, mid) > chance {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// next is the walk after a look at that time which did not stop it.
func (w walk) next(at, bound float64) walk {
	n := walk{at: at, edge: bound * math.Sqrt(at), density: make([]float64, gridPoints)}
	for k := range n.density {
		s := n.point(k)
		if w.density == nil {
			n.density[k] = distuv.UnitNormal.Prob(s/math.Sqrt(at)) / math.Sqrt(at)
			continue
		}
		sd := math.Sqrt(at - w.at)
		for i, d := range w.density {
			n.density[k] += w.weight(i) * d * distuv.UnitNormal.Prob((s-w.point(i))/sd) / sd
		}
	}
	return n
}
