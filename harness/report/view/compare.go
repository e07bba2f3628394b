package view

import (
	"fmt"
	"strings"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Comparison is a comparison of two runs as the formats show it.
type Comparison struct {
	*compare.Comparison
	First, Second string   // the runs, and what they ran on
	Remarks       []string // what is to be known before anything else
	Sections      []Section
	Counted       string // what is not listed row by row
}

// Section is rows that came out alike.
type Section struct {
	Title string
	Rows  []compare.Row
	Open  bool // not to be folded away
}

// OfComparison computes what the formats say of a comparison.
func OfComparison(c *compare.Comparison) *Comparison {
	return &Comparison{Comparison: c, First: runLine(c.Before), Second: runLine(c.After), Remarks: remarks(c),
		Sections: sections(c), Counted: counted(c)}
}

// sections are what a reader wants to see of a comparison, the worst first. What
// cannot be told from noise is only counted, unless a rule weighs it and it is no figure, or
// the intervals are apart.
func sections(c *compare.Comparison) []Section {
	var open []compare.Row
	for _, r := range c.Shown(false, compare.Unclear) {
		if told(r) {
			open = append(open, r)
		}
	}
	var some []Section
	for _, s := range []Section{
		{"Regressions", c.Shown(true, compare.Worse, compare.Changed), true},
		{"Worse, and no regression by the rules", c.Shown(false, compare.Worse), false},
		{"Improvements", c.Shown(false, compare.Better), false},
		{"Changed, neither better nor worse", c.Shown(false, compare.Changed), false},
		{"Not enough repeats to decide", open, false},
	} {
		if len(s.Rows) > 0 {
			s.Rows = gathered(s.Rows)
			some = append(some, s)
		}
	}
	return some
}

// gathered makes one row of the arms of a scenario that only one run has: beside a run of
// the catalogue one of the suite lacks a hundred.
func gathered(rows []compare.Row) []compare.Row {
	alike := func(a, b compare.Row) bool {
		return a.Rule == compare.Missing && b.Rule == compare.Missing &&
			a.Scenario == b.Scenario && a.Image == b.Image && a.Before == b.Before
	}
	var some []compare.Row
	for len(rows) > 0 {
		first, n := rows[0], 1
		names := []string{first.Arm}
		for ; n < len(rows) && alike(first, rows[n]); n++ {
			names = append(names, rows[n].Arm)
		}
		rows = rows[n:]
		if n > 1 {
			first.What = fmt.Sprintf("%d arms", n)
			first.Arm = text.FirstOf(names, ", ", namedArms)
		}
		some = append(some, first)
	}
	return some
}

// namedArms is how many arms a row names at most.
const namedArms = 3

func told(unclear compare.Row) bool {
	return unclear.Figures == nil && unclear.Rule != "" || unclear.Apart
}

// remarks are what is to be known before anything else: what the runs differ in, and
// how far they came.
func remarks(c *compare.Comparison) []string {
	var said []string
	for _, side := range []struct {
		which string
		of    compare.RunInfo
	}{{"first", c.Before}, {"second", c.After}} {
		if side.of.Status != result.Completed {
			text := fmt.Sprintf("The %s run was %s; it is compared as far as it came.", side.which, side.of.Status)
			if side.of.Because != "" {
				text += " " + side.of.Because
			}
			said = append(said, text)
		}
		if n := side.of.Inconclusive; n > 0 {
			said = append(said, fmt.Sprintf("%d of %d arms of the %s run are inconclusive, and left out.", n,
				side.of.Arms, side.which))
		}
	}
	var distort []string
	for _, d := range c.Environment {
		if d.Distorts {
			distort = append(distort, d.What)
		}
	}
	if len(distort) > 0 {
		said = append(said, fmt.Sprintf("The inputs differ (%s): differences may be due to that.",
			strings.Join(distort, ", ")))
	}
	return said
}

// counted sums up what is not listed row by row.
func counted(c *compare.Comparison) string {
	same, noise, unclear := len(c.Shown(false, compare.Same)), len(c.Shown(false, compare.Noise)), 0
	for _, r := range c.Shown(false, compare.Unclear) {
		if !told(r) {
			unclear++
		}
	}
	said := fmt.Sprintf("%d rows are the same, %d differ within noise", same, noise)
	if unclear > 0 {
		said += fmt.Sprintf(", and %d differ of which these repeats tell nothing (lockjam run --repeat 10)", unclear)
	}
	return said + "."
}

// runLine names a run and what it ran on.
func runLine(r compare.RunInfo) string {
	return fmt.Sprintf("%s, %s, %d arms, go-redis %s, %s", r.ID, r.Started.UTC().Format("2006-01-02 15:04 MST"), r.Arms,
		r.GoRedis, r.Server)
}

// PlaceOf is "scenario / arm on image".
func PlaceOf(r compare.Row) (scenario, arm string) {
	return text.Dash(r.Scenario), text.Dash(r.Arm + On(r.Image))
}
