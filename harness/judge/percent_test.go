package judge

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/lockjam/lockjam/harness/text"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		share float64
		want  string
	}{
		{0, "0"}, {0.0049, "1"}, {0.0044, "0"}, {0.965, "97"}, {0.285, "29"}, {1.005, "101"}, {2.4649, "247"},
		{2.4644, "246"}, {10, "1000"},
	} {
		if got := text.Percent(c.share); got != c.want {
			t.Errorf("%v: %s, want %s", c.share, got, c.want)
		}
	}
}

// A sentence is made of what was measured, a table of what run.json keeps of it.
func TestMeasuredAndRecordedReadTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.OneOf(
			rapid.Float64Range(0, 20),
			rapid.Map(rapid.IntRange(0, 20_000), func(n int) float64 { return float64(n) / 1000 }), // as recorded
			// half a thousandth
			rapid.Map(rapid.IntRange(0, 40_000), func(n int) float64 { return float64(n) / 2000 }),
			// just under half a percent
			rapid.Map(rapid.IntRange(0, 4_000), func(n int) float64 { return float64(n)/200 - 1e-9 }),
		).Draw(t, "share")
		if measured, recorded := text.Percent(share), text.Percent(text.Round(share, 3)); measured != recorded {
			t.Errorf("%v: %s%% measured, %s%% recorded", share, measured, recorded)
		}
	})
}
