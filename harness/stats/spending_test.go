package stats

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// The boundaries that are printed for this spending function, two-sided at 5%: Reboussin,
// DeMets, Kim and Lan, Programs for computing group sequential boundaries (2000), and
// gsDesign's documentation.
func TestLevels(t *testing.T) {
	for _, c := range []struct {
		shares, bounds []float64
	}{
		{[]float64{1}, []float64{1.960}},
		{[]float64{0.5, 1}, []float64{2.963, 1.969}},
		{[]float64{1. / 3, 2. / 3, 1}, []float64{3.710, 2.511, 1.993}},
		{[]float64{0.25, 0.5, 0.75, 1}, []float64{4.333, 2.963, 2.359, 2.014}},
		{[]float64{0.2, 0.4, 0.6, 0.8, 1}, []float64{4.877, 3.357, 2.680, 2.290, 2.031}},
	} {
		for k, level := range Levels(c.shares) {
			bound := distuv.UnitNormal.Quantile(1 - level/2)
			if math.Abs(bound-c.bounds[k]) > 0.002 {
				t.Errorf("looks at %v: look %d is bounded by %.3f, want %.3f", c.shares, k+1, bound, c.bounds[k])
			}
		}
	}
}

func BenchmarkLevels(b *testing.B) {
	for b.Loop() {
		Levels([]float64{0.4, 0.7, 0.85, 1})
	}
}
