package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
)

// Matrix is scenarios by what was done about them: the page to pin up. Arms that do
// the same in different ways share a cell.
type Matrix struct {
	By      Kind
	Columns []string
	Lines   []Line
}

// Line is one scenario, or in a matrix by image one arm of it.
type Line struct {
	Scenario string
	Cells    []string // one per column; "-" where nothing was tried
	Arms     [][]Row  // that stand in each cell
}

// Kind is what a matrix has columns for.
type Kind string

// The kinds of matrices.
const (
	ByImage      Kind = "images"
	ByRemedy     Kind = "remedies"
	ByPrevention Kind = "preventions"
)

// Beyond is the column of preventions that the runbook does not name.
const Beyond = "beyond the runbook"

// matrices are those of a run in which anything stands.
func matrices(v *Run) []Matrix {
	all := []Matrix{remedyMatrix(v), preventionMatrix(v)}
	if len(v.On) > 0 {
		all = []Matrix{imageMatrix(v)}
	}
	return slices.DeleteFunc(all, func(m Matrix) bool { return len(m.Lines) == 0 })
}

// remedyMatrix has a column for doing nothing, and one for each remedy that was tried.
func remedyMatrix(v *Run) Matrix {
	columns := []string{remedies.NoRemedy}
	for _, remedy := range remedies.All() {
		if remedy.Name != remedies.NoRemedy {
			columns = append(columns, remedy.Name)
		}
	}
	return newMatrix(v, ByRemedy, columns, func(a Row) string {
		failure := func(r result.Arm) bool { return r.Reproduced != nil }
		if a.Repeats[0].Prevention != "" || !slices.ContainsFunc(a.Repeats, failure) {
			return ""
		}
		return a.Repeats[0].Remedy
	})
}

// preventionMatrix has a column for each claim of prevention, and one for what the
// runbook does not know of.
func preventionMatrix(v *Run) Matrix {
	var columns []string
	for _, c := range v.Claims {
		columns = append(columns, c.ID)
	}
	return newMatrix(v, ByPrevention, append(columns, Beyond), func(a Row) string {
		if a.Repeats[0].Prevention == "" {
			return ""
		}
		return cmp.Or(a.Repeats[0].Claim, Beyond)
	})
}

// newMatrix puts every arm into the column that of names, if any, and leaves out
// columns and lines in which nothing stands.
func newMatrix(v *Run, by Kind, columns []string, of func(Row) string) Matrix {
	all := map[string]map[string][]Row{}
	used := map[string]bool{}
	for _, a := range v.Rows {
		column := of(a)
		if column == "" {
			continue
		}
		if all[a.Scenario] == nil {
			all[a.Scenario] = map[string][]Row{}
		}
		all[a.Scenario][column] = append(all[a.Scenario][column], a)
		used[column] = true
	}
	m := Matrix{By: by, Columns: slices.DeleteFunc(columns, func(c string) bool { return !used[c] })}
	for _, sc := range v.Scenarios {
		if len(all[sc.Name]) == 0 {
			continue
		}
		line := Line{Scenario: sc.Name}
		for _, c := range m.Columns {
			arms := all[sc.Name][c]
			var said []string
			for _, a := range arms {
				said = append(said, a.brief(c))
			}
			line.Cells = append(line.Cells, cmp.Or(strings.Join(said, "; "), "-"))
			line.Arms = append(line.Arms, arms)
		}
		m.Lines = append(m.Lines, line)
	}
	return m
}

// brief is an arm in a cell of its column: verdict, share of the baseline with its
// interval, time to recover, safety violations, as far as they say something.
func (r Row) brief(column string) string {
	said := strings.Join(append([]string{r.Verdict}, r.Gains()...), ", ")
	if name := r.Within(column); name != "" {
		return fmt.Sprintf("%s: %s", name, said)
	}
	return said
}

// Within is what an arm is called in a cell of its column; "" where the column says it.
func (r Row) Within(column string) string {
	if r.Arm == column || r.Arm == "control" {
		return ""
	}
	return strings.TrimPrefix(r.Arm, column+"-")
}

// Gains are the figures that stand behind a verdict, as far as they say something.
func (r Row) Gains() []string {
	var parts []string
	a := r.Repeats[0]
	if a.Verdict == result.Cured || a.Verdict == result.Partial || a.Verdict == result.Prevented ||
		a.Verdict == result.Mitigated {
		parts = append(parts, r.Ratio)
		if back := r.Restored; back != "-" {
			parts = append(parts, "after "+back)
		}
	}
	if a.Unsafe || BrokenIncident(a) {
		parts = append(parts, r.Violations+" violations")
	}
	return parts
}
