// Package view is what every format says of a run or of a comparison: rows, matrices, and the
// sentences and figures that two formats share. It renders nothing.
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

// Row is one arm of one scenario, its repeats folded together. It is what
// every table of every format is made of.
type Row struct {
	Scenario string
	Arm      string
	Image    string // in a run on several
	remedy   string
	Repeats  []result.Arm

	prevention, claim string
}

func Rows(r *result.Run) []Row {
	var all []Row
	for _, sc := range r.Scenarios {
		first := len(all)
		for _, arm := range sc.Arms {
			i := slices.IndexFunc(all[first:], func(r Row) bool { return r.Arm == arm.Name && r.Image == arm.Image })
			if i < 0 {
				all = append(all, Row{Scenario: sc.Name, Arm: arm.Name, Image: arm.Image, remedy: arm.Remedy,
					prevention: arm.Prevention, claim: arm.Claim})
				i = len(all) - 1 - first
			}
			all[first+i].Repeats = append(all[first+i].Repeats, arm)
		}
	}
	return all
}

// Name is the arm, with the image that it ran on where there are several.
func (r Row) Name() string {
	if r.Image == "" {
		return r.Arm
	}
	return r.Arm + " on " + r.Image
}

// Tally counts what the repeats answer, and joins the answers, most frequent
// first: "cured", or "cured 19/20, relapsed 1/20".
func (r Row) Tally(answer func(result.Arm) string) string {
	counts := map[string]int{}
	var order []string
	for _, a := range r.Repeats {
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
		if len(r.Repeats) > 1 {
			order[i] = fmt.Sprintf("%s %d/%d", s, counts[s], len(r.Repeats))
		}
	}
	if len(order) == 0 {
		return "-"
	}
	return strings.Join(order, ", ")
}

// Verdict is the judge's word on the remedy, or what was found where there is none to
// have a word on, and whether it did harm.
func (r Row) Verdict() string {
	return r.Tally(func(a result.Arm) string {
		if a.Verdict != "" && a.Unsafe {
			return string(a.Verdict) + ", UNSAFE"
		}
		return a.Finding()
	})
}

// AsExpected compares with what the scenario says was measured before.
func (r Row) AsExpected() string {
	return r.Tally(result.Arm.AsExpected)
}

func (r Row) Reproduced() string {
	n, known := 0, false
	for _, a := range r.Repeats {
		known = known || a.Reproduced != nil
		if a.Reproduced != nil && *a.Reproduced {
			n++
		}
	}
	if !known {
		return "-"
	}
	if len(r.Repeats) == 1 {
		return map[bool]string{true: "yes", false: "NO"}[n == 1]
	}
	return fmt.Sprintf("%d of %d", n, len(r.Repeats))
}

// Before, during and after are medians over the repeats, in decisions per second.
func (r Row) Before() string {
	return r.perSecond(func(g result.Goodput) *float64 { return g.Before })
}

func (r Row) During() string {
	return r.perSecond(func(g result.Goodput) *float64 { return g.During })
}

func (r Row) After() string { return r.perSecond(func(g result.Goodput) *float64 { return g.After }) }

func (r Row) perSecond(of func(result.Goodput) *float64) string {
	return r.Median("%.0f/s", func(a result.Arm) (float64, bool) {
		if v := of(a.Goodput); v != nil {
			return *v, true
		}
		return 0, false
	})
}

// Ratio is goodput as a share of the baseline's: the median, with the widest interval.
func (r Row) Ratio() string {
	low, high := math.Inf(1), math.Inf(-1)
	mid, there := r.medianOf(func(a result.Arm) (float64, bool) {
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

// BrokenIncident reports whether an arm without a verdict shows an incident of safety faults.
func BrokenIncident(a result.Arm) bool {
	return a.Verdict == "" && a.FaultsPerS != nil && a.Reproduced != nil && *a.Reproduced
}

// Faults is the median of what must not happen, all kinds together.
func (r Row) Faults() string {
	return r.Median("%.0f", func(a result.Arm) (float64, bool) {
		return float64(a.Safety.Total()), a.Verdict != "" && a.Verdict != result.Blocked || BrokenIncident(a)
	})
}

func (r Row) Restored() string {
	return r.Median("%.1f s", func(a result.Arm) (float64, bool) {
		if a.Recovery == nil || a.Recovery.RestoredAfterMS == nil || a.Verdict != result.Cured {
			return 0, false
		}
		return *a.Recovery.RestoredAfterMS / 1000, true
	})
}

func (r Row) Median(format string, of func(result.Arm) (float64, bool)) string {
	if v, there := r.medianOf(of); there {
		return fmt.Sprintf(format, v)
	}
	return "-"
}

// medianOf is over the repeats that have the figure; false if none has.
func (r Row) medianOf(of func(result.Arm) (float64, bool)) (float64, bool) {
	var values []float64
	for _, a := range r.Repeats {
		if v, ok := of(a); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, false
	}
	return stats.Median(values), true
}

// Unchecked says in a line which arms' findings the scenario expects nothing of, name making
// a name of each; "" if there are none. They count for no expectation that was met.
func Unchecked(r *result.Run, name func(Row) string) string {
	var open []string
	for _, one := range Rows(r) {
		if slices.ContainsFunc(one.Repeats,
			func(a result.Arm) bool { return a.Outcome == result.Pass && a.NotChecked() != "" }) {
			open = append(open, name(one))
		}
	}
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s not checked, for want of an `expect` in the scenario: %s", len(open),
		text.Noun(len(open), "arm"), text.FirstOf(open, ", ", MaxNames))
}

// Live is a scenario's arms by which a signal is told: those with the failure, and those
// in which nothing is to go wrong. Behind a prevention the incident may not have come.
func Live(sc result.Scenario) Row {
	return Row{Scenario: sc.Name, Repeats: slices.DeleteFunc(slices.Clone(sc.Arms), func(a result.Arm) bool {
		return a.Prevention != "" || a.Reproduced != nil && !*a.Reproduced
	})}
}

// Signal answers for all repeats: how many fired, and the median time to detect.
func (r Row) Signal(name string) (s result.Signal, fired int, detect string) {
	detect = r.Median("%.0f ms", func(a result.Arm) (float64, bool) {
		for _, x := range a.Signals {
			if x.Name == name {
				s = x
				if x.DetectMS != nil {
					fired++
					return *x.DetectMS, true
				}
			}
		}
		return 0, false
	})
	return s, fired, detect
}
