package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The test is exact: its p is that of all ways to deal the same values to two sets.
func TestMannWhitneyIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.SliceOfN(rapid.Float64Range(0, 4), 1, 5)
		if rapid.Bool().Draw(t, "ties") {
			draw = rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 3), func(v int) float64 {
				if v == 3 {
					return math.Inf(1) // never
				}
				return float64(v)
			}), 1, 5)
		}
		before, after := draw.Draw(t, "before"), draw.Draw(t, "after")
		if all := slices.Concat(before, after); slices.Min(all) == slices.Max(all) {
			t.Skip("nothing to compare")
		}
		got, want := mannWhitney(before, after), dealt(before, after)
		if math.Abs(got.p-want) > 1e-9 {
			t.Errorf("p %v, want %v", got.p, want)
		}
		if back := mannWhitney(after, before); math.Abs(back.p-got.p) > 1e-9 || back.towards != -got.towards {
			t.Errorf("%+v, and the other way round %+v", got, back)
		}
	})
}

// dealt is the two-sided p by counting.
func dealt(before, after []float64) float64 {
	all := slices.Concat(before, after)
	u := above(before, after)
	low, high, total := 0.0, 0.0, 0.0
	for set := range 1 << len(all) {
		var a, b []float64
		for i, v := range all {
			if set>>i&1 == 1 {
				a = append(a, v)
			} else {
				b = append(b, v)
			}
		}
		if len(a) != len(before) {
			continue
		}
		total++
		x := above(a, b)
		if x <= u {
			low++
		}
		if x >= u {
			high++
		}
	}
	return min(1, 2*min(low, high)/total)
}

func TestHolm(t *testing.T) {
	// 0.01*4, then 0.02*3; 0.03*2 is not smaller than what came before; 0.04.
	got := holm([]float64{0.04, 0.01, 0.03, 0.02})
	for i, want := range []float64{0.06, 0.04, 0.06, 0.06} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("%d: %v, want %v", i, got[i], want)
		}
	}
	if len(holm(nil)) != 0 || holm([]float64{0.7, 0.9})[0] != 1 {
		t.Error("p is between 0 and 1")
	}
}

// What the messages promise: so many repeats can tell one of so many figures.
func TestEnoughRepeats(t *testing.T) {
	for figures, want := range map[int]int{1: 4, 6: 5, 7: 6, 23: 6, 321: 8, 1215: 9, 1216: 10, 4600: 11} {
		got := enough(figures)
		low, high := ramp(got, 0), ramp(got, 100)
		if mannWhitney(low, high).p*float64(figures) > Alpha {
			t.Errorf("%d figures: %d repeats that do not overlap are not enough", figures, got)
		}
		if got > 2 && mannWhitney(ramp(got-1, 0), ramp(got-1, 100)).p*float64(figures) <= Alpha {
			t.Errorf("%d figures: %d repeats would have been enough", figures, got-1)
		}
		if figures <= 321 && got != want {
			t.Errorf("%d figures: %d repeats, want %d", figures, got, want)
		}
	}
}

func ramp(n int, from float64) []float64 {
	var all []float64
	for i := range n {
		all = append(all, from+float64(i))
	}
	return all
}

// Of the textbook's interval it is known that it misses the true shift in at most one
// of twenty samples.
func TestShiftCovers(t *testing.T) {
	luck := rand.New(rand.NewPCG(1, 2))
	const rounds, moved = 1500, 3.0
	for _, n := range []int{4, 7, 10} {
		missed := 0
		for range rounds {
			before, after := make([]float64, n), make([]float64, n)
			for i := range n {
				before[i], after[i] = 50+luck.ExpFloat64(), 50+moved+luck.ExpFloat64()
			}
			s := shift(before, after)
			if *s.Low > s.By || *s.High < s.By {
				t.Fatalf("%v is not in %v to %v", s.By, *s.Low, *s.High)
			}
			if *s.Low > moved || *s.High < moved {
				missed++
			}
		}
		// Three standard errors of chance on top of 5%.
		if share := float64(missed) / rounds; share > 0.05+3*math.Sqrt(0.05*0.95/rounds) || share == 0 {
			t.Errorf("%d repeats: missed in %.1f%%", n, 100*share)
		}
	}
	if s := shift([]float64{1, 2, 3}, []float64{4, 5, 6}); s.Low != nil || s.By != 3 || *s.Share != 1.5 {
		t.Errorf("three repeats have no 95%% interval: %+v", s)
	}
	if shift([]float64{1, math.Inf(1)}, []float64{1, 2}) != nil || shift(nil, []float64{1}) != nil {
		t.Error("what never came cannot be subtracted")
	}
	if s := shift([]float64{0, 0}, []float64{1, 1}); s.Share != nil {
		t.Error("a share of nothing")
	}
}
