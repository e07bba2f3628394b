package compare

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
)

// Finding is how a row came out.
type Finding string

const (
	Same    Finding = "same"
	Noise   Finding = "noise"   // it differs by no more than repeats of the same thing do
	Better  Finding = "better"  //
	Worse   Finding = "worse"   //
	Changed Finding = "changed" // neither better nor worse
	Unclear Finding = "unclear" // it differs, and is not decided: too few repeats, or no evidence
)

// Row is one thing that both runs say something of.
type Row struct {
	Place
	Rule    Rule     `json:"rule"` // that it is weighed by; empty: shown only
	What    string   `json:"what"`
	Before  string   `json:"before"` // as people read it
	After   string   `json:"after"`
	Figures *Figures `json:"figures,omitempty"` // null where it is no figure
	Finding Finding  `json:"finding"`
	Because string   `json:"because,omitempty"`
	Apart   bool     `json:"apart,omitempty"` // single repeats whose 95% intervals do not overlap
	Fails   bool     `json:"fails"`           // a regression by the rules that were asked for

	before, after []float64 // figures, or ranks of what is no figure
	farApart      string    // why the figures need no test; "" if they do
	better        int       // +1: more is better, -1: less is; 0: neither
	towards       int       // +1: the second run has more, -1: less
}

// Figures are a figure's repeats in both runs.
type Figures struct {
	Unit   string   `json:"unit"` // "/s", "ms", "%" or none
	Before Summary  `json:"before"`
	After  Summary  `json:"after"`
	Shift  *Shift   `json:"shift"`
	P      *float64 `json:"p"` // corrected for the number of figures of the rule; null: not tested
}

// Summary is a figure over the repeats of an arm.
type Summary struct {
	Count  int      `json:"count"`
	Never  int      `json:"never"`  // of these, that it never came to
	Median *float64 `json:"median"` // null: never, mostly
	Low    *float64 `json:"low"`    // the lowest; of a single repeat, its 95% interval where there is one
	High   *float64 `json:"high"`
}

// decide finds for every row whether it differs, rule by rule: that is how many
// figures Holm's correction is over. Rows that are all of one value have nothing to be
// wrong about and do not count, nor do those that need no test.
func decide(rows []Row) {
	for _, rule := range append(Rules(), RuleInfo{}) {
		var open []*Row
		var answers []tested
		var p []float64
		for i := range rows {
			r := &rows[i]
			if r.Rule != rule.Rule || r.Finding != "" || r.certain() {
				continue
			}
			t := mannWhitney(r.before, r.after)
			open, answers, p = append(open, r), append(answers, t), append(p, t.p)
		}
		for i, corrected := range holm(p) {
			open[i].weigh(answers[i], corrected, len(open))
		}
	}
}

// certain settles what needs no test: all values are the same, or, of what a rule
// weighs and is no figure, one run is of one mind and most of the other of another.
// Verdicts do not waver where nothing has changed, which a hundred runs of the suite
// bear out.
func (r *Row) certain() bool {
	all := slices.Concat(r.before, r.after)
	if len(r.before) == 0 || len(r.after) == 0 {
		r.Finding = Unclear
		return true
	}
	if slices.Min(all) == slices.Max(all) {
		r.Finding = Same
		return true
	}
	if r.Figures != nil || r.Rule == "" {
		return false
	}
	was, mostWas := most(r.before)
	is, mostIs := most(r.after)
	unanimous := mostWas == len(r.before) || mostIs == len(r.after)
	if unanimous && 2*mostWas > len(r.before) && 2*mostIs > len(r.after) && was != is {
		r.turn(map[bool]int{true: 1, false: -1}[is > was])
		return true
	}
	return false
}

// most is the most frequent value, and how often it is there.
func most(values []float64) (value float64, times int) {
	counts := map[float64]int{}
	for _, v := range values {
		if counts[v]++; counts[v] > times {
			value, times = v, counts[v]
		}
	}
	return value, times
}

// weigh decides a row that was tested together with others of its rule.
func (r *Row) weigh(t tested, corrected float64, of int) {
	if r.Figures != nil {
		r.Figures.P = &corrected
	}
	r.towards = t.towards
	n, m := len(r.before), len(r.after)
	switch {
	case corrected <= Alpha:
		r.turn(t.towards)
		r.Because = fmt.Sprintf("beyond noise: p %s over %s", strconv.FormatFloat(corrected, 'g', 2, 64),
			count(of, "figure"))
	case r.farApart != "":
		r.turn(t.towards)
		r.Because = r.farApart
	case slices.Equal(slices.Sorted(slices.Values(r.before)), slices.Sorted(slices.Values(r.after))):
		r.Finding = Same
	case smallestP(n, m)*float64(of) > Alpha:
		r.Finding = Unclear
		r.Because = strings.TrimPrefix(r.Because+
			fmt.Sprintf("; %s and %d are too few to tell from noise, %d each would be enough", count(n, "repeat"), m,
				enough(of)), "; ")
	default:
		r.Finding = Noise
	}
}

// turn is in which direction a row went.
func (r *Row) turn(towards int) {
	switch r.better * towards {
	case 1:
		r.Finding = Better
	case -1:
		r.Finding = Worse
	default:
		r.Finding = Changed
	}
}

// open reports whether the row may hide a regression. What is no figure and went the other
// way does not: a verdict that was better more often was not worse.
func (r *Row) open() bool {
	return r.Finding == Unclear && (r.Figures != nil || r.better*r.towards <= 0)
}

// regression reports whether the row is one by this rule.
func (r *Row) regression(l Limit) bool {
	if r.Rule == Claim {
		return r.Finding == Changed
	}
	if r.Finding != Worse {
		return false
	}
	if r.Figures == nil || l.Over == 0 {
		return true
	}
	s := r.Figures.Shift
	return s == nil || s.Share == nil || math.Abs(*s.Share) > l.Over
}

// Difference is by how much a figure moved, in words; empty where it is no figure.
func (r Row) Difference() string {
	if r.Figures == nil || r.Figures.Shift == nil || r.Finding == Same {
		return ""
	}
	s, unit, scale := *r.Figures.Shift, " "+r.Figures.Unit, 1.0
	if s.Share != nil && s.By != 0 {
		unit, scale = "%", 100**s.Share/s.By
	}
	said := fmt.Sprintf("%+.3g%s", scale*s.By, strings.TrimRight(unit, " "))
	if s.Low == nil {
		return said
	}
	low, high := scale**s.Low, scale**s.High
	return fmt.Sprintf("%s (%+.3g to %+.3g)", said, min(low, high), max(low, high))
}

// state makes a row of what is no figure: of says what an arm's answer is called and
// how it ranks. Arms without one are left out.
func (p *pair) state(rule Rule, what string, better int, of func(result.Arm) (string, float64, bool)) []Row {
	r := Row{Place: p.Place, Rule: rule, What: what, better: better}
	r.Before, r.before = tally(p.before, of)
	r.After, r.after = tally(p.after, of)
	if len(r.before) == 0 || len(r.after) == 0 {
		return nil
	}
	return []Row{r}
}

// tally counts answers, the most frequent first: "cured", or "cured 19/20, relapsed
// 1/20".
func tally(arms []result.Arm, of func(result.Arm) (string, float64, bool)) (string, []float64) {
	counts := map[string]int{}
	var order []string
	var ranks []float64
	for _, a := range arms {
		name, rank, ok := of(a)
		if !ok {
			continue
		}
		ranks = append(ranks, rank)
		if counts[name] == 0 {
			order = append(order, name)
		}
		counts[name]++
	}
	slices.SortStableFunc(order, func(a, b string) int { return counts[b] - counts[a] })
	for i, name := range order {
		if len(ranks) > 1 {
			order[i] = fmt.Sprintf("%s %d/%d", name, counts[name], len(ranks))
		}
	}
	return strings.Join(order, ", "), ranks
}
