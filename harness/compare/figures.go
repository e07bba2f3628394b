package compare

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/stats"
	"github.com/lockjam/lockjam/harness/text"
)

// figure is something of an arm that is measured.
type figure struct {
	rule   Rule
	what   string
	unit   string
	better int // +1: more is, -1: less is
	of     func(result.Arm) (v float64, there bool)
}

// figures of every arm; those of its phases and signals come on top.
var figures = []figure{
	{Goodput, "goodput before", "/s", 1, func(a result.Arm) (float64, bool) { return value(a.Goodput.Before) }},
	{Goodput, "goodput during", "/s", 1, func(a result.Arm) (float64, bool) { return value(a.Goodput.During) }},
	{Goodput, "goodput after", "/s", 1, func(a result.Arm) (float64, bool) { return value(a.Goodput.After) }},
	{Goodput, "goodput of the baseline", "%", 1, func(a result.Arm) (float64, bool) {
		if a.Recovery == nil {
			return 0, false
		}
		return 100 * a.Recovery.Ratio, true
	}},
	// A remedy after which goodput was never back took longer than any other.
	{Recovery, "time to recover", "ms", -1, func(a result.Arm) (float64, bool) {
		switch {
		case a.Recovery == nil || a.Prevention != "":
			return 0, false
		case a.Recovery.RestoredAfterMS == nil:
			return math.Inf(1), true
		}
		return *a.Recovery.RestoredAfterMS, true
	}},
	{Faults, "safety violations", "", -1, func(a result.Arm) (float64, bool) { return float64(a.Safety.Total()), true }},
}

func value(v *float64) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return *v, true
}

func (p *pair) figures() []Row {
	var rows []Row
	for _, f := range figures {
		rows = append(rows, p.figure(f)...)
	}
	for i := range rows {
		if rows[i].Rule == Goodput && rows[i].Figures.Unit == "%" {
			p.interval(&rows[i])
		}
	}
	for _, phase := range []string{history.Baseline, history.Incident, history.Recovery} {
		for _, f := range responses(phase) {
			rows = append(rows, p.figure(f)...)
		}
	}
	return rows
}

// responses are the response times of a phase in which something was completed. The
// longest one is shown and not weighed: it says more of luck than of the client.
func responses(phase string) []figure {
	of := func(percentile func(result.Percentiles) float64) func(result.Arm) (float64, bool) {
		return func(a result.Arm) (float64, bool) {
			i := slices.IndexFunc(a.Phases, func(p result.Phase) bool { return p.Name == phase && p.Operations.OK > 0 })
			if i < 0 {
				return 0, false
			}
			return percentile(a.Phases[i].ResponseMS), true
		}
	}
	return []figure{
		{Latency, "response p50, " + phase, "ms", -1, of(func(p result.Percentiles) float64 { return p.P50 })},
		{Latency, "response p99, " + phase, "ms", -1, of(func(p result.Percentiles) float64 { return p.P99 })},
		{"", "response max, " + phase, "ms", -1, of(func(p result.Percentiles) float64 { return p.Max })},
	}
}

// figure makes a row of a figure that both runs have.
func (p *pair) figure(f figure) []Row {
	r := Row{Place: p.Place, Rule: f.rule, What: f.what, better: f.better, before: collect(p.before, f.of),
		after: collect(p.after, f.of)}
	if len(r.before) == 0 || len(r.after) == 0 {
		return nil
	}
	r.Figures = &Figures{Unit: f.unit, Before: summarize(r.before), After: summarize(r.after),
		Shift: shift(r.before, r.after)}
	r.Before, r.After = r.Figures.Before.say(f.unit), r.Figures.After.say(f.unit)
	if f.rule == "" {
		r.Finding = Noise
		if r.Before == r.After {
			r.Finding = Same
		}
	}
	return []Row{r}
}

func collect(arms []result.Arm, of func(result.Arm) (float64, bool)) []float64 {
	var values []float64
	for _, a := range arms {
		if v, ok := of(a); ok {
			values = append(values, v)
		}
	}
	return values
}

func summarize(values []float64) Summary {
	s := Summary{Count: len(values)}
	finite := func(v float64) *float64 {
		if math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	for _, v := range values {
		if math.IsInf(v, 0) {
			s.Never++
		}
	}
	s.Median = finite(stats.Median(values))
	s.Low, s.High = finite(slices.Min(values)), finite(slices.Max(values))
	return s
}

// What takes no test to be told, where there are too few repeats for one. An interval of
// a single arm knows the noise within it, and not how much repeats differ: of 1,026
// pairs of repeats of the same code, on a machine with much else to do, 57 had intervals
// that do not overlap, and the near ends were a factor of up to 1.32 apart. Where the higher
// one is no level that work goes on at, but what is left of a few grants, factors say
// nothing. See docs/ci.md.
const (
	farApart = 2.0  // factor between the near ends of the intervals
	goesOn   = 50.0 // the least of the higher interval, in percent of the baseline
)

// interval replaces the range of a single repeat by the 95% interval that its judge
// gave the ratio, and reports whether those of two single ones are apart, and whether all
// repeats of one run are so far from all of the other that no test is needed.
func (p *pair) interval(r *Row) {
	p.farApart(r)
	of := func(arms []result.Arm, s *Summary) (said string, single bool) {
		said = s.say("%")
		if len(arms) != 1 || arms[0].Recovery == nil || s.Low == nil {
			return said, false
		}
		low, high := 100*arms[0].Recovery.Low, 100*arms[0].Recovery.High
		s.Low, s.High = &low, &high
		return s.say("%"), true
	}
	var one, two bool
	r.Before, one = of(p.before, &r.Figures.Before)
	r.After, two = of(p.after, &r.Figures.After)
	if a, b := r.Figures.Before, r.Figures.After; one && two && (*a.High < *b.Low || *b.High < *a.Low) {
		r.Apart, r.Because = true, "the 95% intervals of the two do not overlap"
	}
}

// farApart says so, with the near ends, where it is the case.
func (p *pair) farApart(r *Row) {
	ends := func(arms []result.Arm) (low, high float64) {
		low, high = math.Inf(1), math.Inf(-1)
		for _, a := range arms {
			if a.Recovery != nil {
				low, high = min(low, 100*a.Recovery.Low), max(high, 100*a.Recovery.High)
			}
		}
		return low, high
	}
	far := func(low, high float64) bool { return low >= goesOn && high >= 0 && low >= farApart*high }
	low1, high1 := ends(p.before)
	low2, high2 := ends(p.after)
	switch {
	case far(low1, high2):
		r.farApart = fmt.Sprintf("the near ends of the 95%% intervals, %s and %s, are more than a factor of %v apart",
			share(low1), share(high2), farApart)
	case far(low2, high1):
		r.farApart = fmt.Sprintf("the near ends of the 95%% intervals, %s and %s, are more than a factor of %v apart",
			share(high1), share(low2), farApart)
	}
}

// share is a figure in percent of the baseline as reports print it.
func share(percent float64) string { return text.Percent(percent/100) + "%" }

// say is "176/s", of several "176/s (170-181)", with what never came to it.
func (s Summary) say(unit string) string {
	if s.Median == nil {
		if s.Never == s.Count {
			return "never"
		}
		return fmt.Sprintf("never in %d of %d", s.Never, s.Count)
	}
	space := ""
	if unit == "ms" {
		space = " "
	}
	number := number
	if unit == "%" {
		number = func(v float64) string { return text.Percent(v / 100) }
	}
	said := number(*s.Median) + space + unit
	if s.Low != nil && s.High != nil && *s.Low != *s.High {
		said += fmt.Sprintf(" (%s-%s)", number(*s.Low), number(*s.High))
	}
	if s.Never > 0 {
		said += fmt.Sprintf(", never in %d of %d", s.Never, s.Count)
	}
	return said
}

// number has three digits, and all of a large one.
func number(v float64) string {
	digits := 2
	switch {
	case math.Abs(v) >= 100:
		digits = 0
	case math.Abs(v) >= 10:
		digits = 1
	}
	said := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(said, ".") {
		said = strings.TrimRight(strings.TrimRight(said, "0"), ".")
	}
	return said
}
