package view

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// Row is one arm of one scenario, its repeats folded together. It is what every table of
// every format is made of. A figure that no repeat has is "-".
type Row struct {
	Scenario, Arm string
	Image         string // in a run on several
	Name          string // the arm, with its image
	Repeats       []result.Arm

	Verdict    string // or what was found, where there is none; and whether it did harm
	AsExpected string // compared with what the scenario says was measured before
	Reproduced string
	Unsafe     bool

	Before, During, After string // decisions per second: the medians
	Ratio                 string // of the baseline: the median, with the widest interval
	Restored              string // seconds until a cure
	Violations            string // what must not happen, all kinds together: the median
}

// fold makes a scenario's rows, in the order in which its arms first ran.
func fold(sc result.Scenario) []Row {
	type key struct{ arm, image string }
	var order []key
	repeats := map[key][]result.Arm{}
	for _, a := range sc.Arms {
		k := key{a.Name, a.Image}
		if repeats[k] == nil {
			order = append(order, k)
		}
		repeats[k] = append(repeats[k], a)
	}
	rows := make([]Row, len(order))
	for i, k := range order {
		rows[i] = NewRow(sc.Name, repeats[k])
	}
	return rows
}

// NewRow folds the repeats of an arm, at least one.
func NewRow(scenario string, repeats []result.Arm) Row {
	a := repeats[0]
	r := Row{Scenario: scenario, Arm: a.Name, Image: a.Image, Name: a.Name + On(a.Image), Repeats: repeats,
		Verdict: Tally(repeats, verdict), AsExpected: Tally(repeats, result.Arm.AsExpected),
		Reproduced: reproduced(repeats), Ratio: ratio(repeats),
		Unsafe: slices.ContainsFunc(repeats, func(a result.Arm) bool { return a.Unsafe }),
	}
	r.Before = perSecond(repeats, func(g result.Goodput) *float64 { return g.Before })
	r.During = perSecond(repeats, func(g result.Goodput) *float64 { return g.During })
	r.After = perSecond(repeats, func(g result.Goodput) *float64 { return g.After })
	r.Violations = Median(repeats, "%.0f", func(a result.Arm) (float64, bool) {
		return float64(a.Safety.Total()), a.Verdict != "" && a.Verdict != result.Blocked || BrokenIncident(a)
	})
	r.Restored = Median(repeats, "%.1f s", func(a result.Arm) (float64, bool) {
		if a.Recovery == nil || a.Recovery.RestoredAfterMS == nil || a.Verdict != result.Cured {
			return 0, false
		}
		return *a.Recovery.RestoredAfterMS / 1000, true
	})
	return r
}

// verdict is the judge's word on the remedy, or what was found where there is none, and
// whether it did harm.
func verdict(a result.Arm) string {
	if a.Verdict != "" && a.Unsafe {
		return string(a.Verdict) + ", UNSAFE"
	}
	return a.Finding()
}

// Tally counts what the repeats answer, and joins the answers, most frequent
// first: "cured", or "cured 19/20, relapsed 1/20".
func Tally(repeats []result.Arm, answer func(result.Arm) string) string {
	counts := map[string]int{}
	var order []string
	for _, a := range repeats {
		s := answer(a)
		if s == "" {
			continue
		}
		if counts[s] == 0 {
			order = append(order, s)
		}
		counts[s]++
	}
	slices.SortStableFunc(order, func(a, b string) int { return counts[b] - counts[a] })
	for i, s := range order {
		if len(repeats) > 1 {
			order[i] = fmt.Sprintf("%s %d/%d", s, counts[s], len(repeats))
		}
	}
	return text.Dash(strings.Join(order, ", "))
}

func reproduced(repeats []result.Arm) string {
	n, known := 0, false
	for _, a := range repeats {
		known = known || a.Reproduced != nil
		if a.Reproduced != nil && *a.Reproduced {
			n++
		}
	}
	switch {
	case !known:
		return "-"
	case len(repeats) == 1:
		return map[bool]string{true: "yes", false: "NO"}[n == 1]
	}
	return fmt.Sprintf("%d of %d", n, len(repeats))
}

func perSecond(repeats []result.Arm, of func(result.Goodput) *float64) string {
	return Median(repeats, "%.0f/s", func(a result.Arm) (float64, bool) {
		if v := of(a.Goodput); v != nil {
			return *v, true
		}
		return 0, false
	})
}

func ratio(repeats []result.Arm) string {
	low, high := math.Inf(1), math.Inf(-1)
	mid, there := median(repeats, func(a result.Arm) (float64, bool) {
		if a.Recovery == nil {
			return 0, false
		}
		low, high = min(low, a.Recovery.Low), max(high, a.Recovery.High)
		return a.Recovery.Ratio, true
	})
	switch {
	case !there:
		return "-"
	case low == high:
		return text.Percent(mid) + "%"
	}
	return fmt.Sprintf("%s%% (%s-%s)", text.Percent(mid), text.Percent(low), text.Percent(high))
}

// BrokenIncident reports whether an arm without a verdict shows an incident of safety violations.
func BrokenIncident(a result.Arm) bool {
	return a.Verdict == "" && a.FaultsPerS != nil && a.Reproduced != nil && *a.Reproduced
}

// Median is a figure's median over the repeats that have it; "-" if none has.
func Median(repeats []result.Arm, format string, of func(result.Arm) (float64, bool)) string {
	if v, there := median(repeats, of); there {
		return fmt.Sprintf(format, v)
	}
	return "-"
}

func median(repeats []result.Arm, of func(result.Arm) (float64, bool)) (float64, bool) {
	var values []float64
	for _, a := range repeats {
		if v, ok := of(a); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, false
	}
	return stats.Median(values), true
}

// Flaps reports whether the verdict differs between repeats, none at all being one.
func (r Row) Flaps() bool {
	first := r.Repeats[0]
	return slices.ContainsFunc(r.Repeats,
		func(a result.Arm) bool { return a.Verdict != first.Verdict || a.Unsafe != first.Unsafe })
}
