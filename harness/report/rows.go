package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// row is one arm of one scenario, its repeats folded together. It is what
// every table of every format is made of.
type row struct {
	scenario string
	arm      string
	image    string // in a run on several
	remedy   string
	repeats  []result.Arm

	prevention, claim string
}

func rows(r *result.Run) []row {
	var all []row
	for _, sc := range r.Scenarios {
		first := len(all)
		for _, arm := range sc.Arms {
			i := slices.IndexFunc(all[first:], func(r row) bool { return r.arm == arm.Name && r.image == arm.Image })
			if i < 0 {
				all = append(all, row{scenario: sc.Name, arm: arm.Name, image: arm.Image, remedy: arm.Remedy, prevention: arm.Prevention, claim: arm.Claim})
				i = len(all) - 1 - first
			}
			all[first+i].repeats = append(all[first+i].repeats, arm)
		}
	}
	return all
}

// name is the arm, with the image that it ran on where there are several.
func (r row) name() string {
	if r.image == "" {
		return r.arm
	}
	return r.arm + " on " + r.image
}

// tally counts what the repeats answer, and joins the answers, most frequent
// first: "cured", or "cured 19/20, relapsed 1/20".
func (r row) tally(answer func(result.Arm) string) string {
	counts := map[string]int{}
	var order []string
	for _, a := range r.repeats {
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
		if len(r.repeats) > 1 {
			order[i] = fmt.Sprintf("%s %d/%d", s, counts[s], len(r.repeats))
		}
	}
	if len(order) == 0 {
		return "-"
	}
	return strings.Join(order, ", ")
}

// verdict is the judge's word on the remedy, or what was found where there is none to
// have a word on, and whether it did harm.
func (r row) verdict() string {
	return r.tally(func(a result.Arm) string {
		if a.Verdict != "" && a.Unsafe {
			return string(a.Verdict) + ", UNSAFE"
		}
		return a.Finding()
	})
}

// asExpected compares with what the scenario says was measured before.
func (r row) asExpected() string {
	return r.tally(result.Arm.AsExpected)
}

func (r row) reproduced() string {
	n, known := 0, false
	for _, a := range r.repeats {
		known = known || a.Reproduced != nil
		if a.Reproduced != nil && *a.Reproduced {
			n++
		}
	}
	if !known {
		return "-"
	}
	if len(r.repeats) == 1 {
		return map[bool]string{true: "yes", false: "NO"}[n == 1]
	}
	return fmt.Sprintf("%d of %d", n, len(r.repeats))
}

// before, during and after are medians over the repeats, in decisions per second.
func (r row) before() string {
	return r.perSecond(func(g result.Goodput) *float64 { return g.Before })
}

func (r row) during() string {
	return r.perSecond(func(g result.Goodput) *float64 { return g.During })
}

func (r row) after() string { return r.perSecond(func(g result.Goodput) *float64 { return g.After }) }

func (r row) perSecond(of func(result.Goodput) *float64) string {
	return r.median("%.0f/s", func(a result.Arm) (float64, bool) {
		if v := of(a.Goodput); v != nil {
			return *v, true
		}
		return 0, false
	})
}

// ratio is goodput as a share of the baseline's: the median, with the widest interval.
func (r row) ratio() string {
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

// brokenIncident reports whether an arm without a verdict shows an incident of safety faults.
func brokenIncident(a result.Arm) bool {
	return a.Verdict == "" && a.FaultsPerS != nil && a.Reproduced != nil && *a.Reproduced
}

// faults is the median of what must not happen, all kinds together.
func (r row) faults() string {
	return r.median("%.0f", func(a result.Arm) (float64, bool) {
		return float64(a.Safety.Total()), a.Verdict != "" && a.Verdict != result.Blocked || brokenIncident(a)
	})
}

func (r row) restored() string {
	return r.median("%.1f s", func(a result.Arm) (float64, bool) {
		if a.Recovery == nil || a.Recovery.RestoredAfterMS == nil || a.Verdict != result.Cured {
			return 0, false
		}
		return *a.Recovery.RestoredAfterMS / 1000, true
	})
}

func (r row) median(format string, of func(result.Arm) (float64, bool)) string {
	if v, there := r.medianOf(of); there {
		return fmt.Sprintf(format, v)
	}
	return "-"
}

// medianOf is over the repeats that have the figure; false if none has.
func (r row) medianOf(of func(result.Arm) (float64, bool)) (float64, bool) {
	var values []float64
	for _, a := range r.repeats {
		if v, ok := of(a); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, false
	}
	return stats.Median(values), true
}

// unchecked says in a line which arms' findings the scenario expects nothing of, name making
// a name of each; "" if there are none. They count for no expectation that was met.
func unchecked(r *result.Run, name func(row) string) string {
	var open []string
	for _, one := range rows(r) {
		if slices.ContainsFunc(one.repeats, func(a result.Arm) bool { return a.Outcome == result.Pass && a.NotChecked() != "" }) {
			open = append(open, name(one))
		}
	}
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s not checked, for want of an `expect` in the scenario: %s", len(open), text.Noun(len(open), "arm"), text.FirstOf(open, ", ", maxNames))
}

// live is a scenario's arms by which a signal is told: those with the failure, and those
// in which nothing is to go wrong. Behind a prevention the incident may not have come.
func live(sc result.Scenario) row {
	return row{scenario: sc.Name, repeats: slices.DeleteFunc(slices.Clone(sc.Arms), func(a result.Arm) bool {
		return a.Prevention != "" || a.Reproduced != nil && !*a.Reproduced
	})}
}

// signal answers for all repeats: how many fired, and the median time to detect.
func (r row) signal(name string) (s result.Signal, fired int, detect string) {
	detect = r.median("%.0f ms", func(a result.Arm) (float64, bool) {
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
