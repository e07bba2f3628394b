package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
)

// matrix is scenarios by what was done about them: the page to pin up. Arms that do
// the same in different ways share a cell.
type matrix struct {
	columns []string
	lines   []matrixLine
}

type matrixLine struct {
	scenario string
	cells    []string // one per column; "-" where nothing was tried
	arms     [][]row  // that stand in each cell
}

// beyond is the column of preventions that the runbook does not name.
const beyond = "beyond the runbook"

// remedyMatrix has a column for doing nothing, and one for each remedy that was tried.
func remedyMatrix(r *result.Run) matrix {
	columns := []string{remedies.NoRemedy}
	for _, remedy := range remedies.All() {
		if remedy.Name != remedies.NoRemedy {
			columns = append(columns, remedy.Name)
		}
	}
	return newMatrix(r, columns, func(a row) string {
		failure := func(r result.Arm) bool { return r.Reproduced != nil }
		if a.prevention != "" || !slices.ContainsFunc(a.repeats, failure) {
			return ""
		}
		return a.remedy
	})
}

// preventionMatrix has a column for each claim of prevention, and one for what the
// runbook does not know of.
func preventionMatrix(r *result.Run) matrix {
	var columns []string
	for _, c := range r.Claims {
		columns = append(columns, c.ID)
	}
	return newMatrix(r, append(columns, beyond), func(a row) string {
		if a.prevention == "" {
			return ""
		}
		return cmp.Or(a.claim, beyond)
	})
}

// newMatrix puts every arm into the column that of names, if any, and leaves out
// columns and lines in which nothing stands.
func newMatrix(r *result.Run, columns []string, of func(row) string) matrix {
	all := map[string]map[string][]row{}
	used := map[string]bool{}
	for _, a := range rows(r) {
		column := of(a)
		if column == "" {
			continue
		}
		if all[a.scenario] == nil {
			all[a.scenario] = map[string][]row{}
		}
		all[a.scenario][column] = append(all[a.scenario][column], a)
		used[column] = true
	}
	m := matrix{columns: slices.DeleteFunc(columns, func(c string) bool { return !used[c] })}
	for _, sc := range r.Scenarios {
		if len(all[sc.Name]) == 0 {
			continue
		}
		line := matrixLine{scenario: sc.Name}
		for _, c := range m.columns {
			arms := all[sc.Name][c]
			var said []string
			for _, a := range arms {
				said = append(said, a.brief(c))
			}
			line.cells = append(line.cells, cmp.Or(strings.Join(said, "; "), "-"))
			line.arms = append(line.arms, arms)
		}
		m.lines = append(m.lines, line)
	}
	return m
}

// brief is an arm in a cell of its column: verdict, share of the baseline with its
// interval, time to recover, safety faults, as far as they say something.
func (r row) brief(column string) string {
	said := strings.Join(append([]string{r.verdict()}, r.gains()...), ", ")
	if name := r.within(column); name != "" {
		return fmt.Sprintf("%s: %s", name, said)
	}
	return said
}

// within is what an arm is called in a cell of its column; "" where the column says it.
func (r row) within(column string) string {
	if r.arm == column || r.arm == "control" {
		return ""
	}
	return strings.TrimPrefix(r.arm, column+"-")
}

// gains are the figures that stand behind a verdict, as far as they say something.
func (r row) gains() []string {
	var parts []string
	a := r.repeats[0]
	if a.Verdict == result.Cured || a.Verdict == result.Partial || a.Verdict == result.Prevented || a.Verdict == result.Mitigated {
		parts = append(parts, r.ratio())
		if back := r.restored(); back != "-" {
			parts = append(parts, "after "+back)
		}
	}
	if a.Unsafe || brokenIncident(a) {
		parts = append(parts, r.faults()+" faults")
	}
	return parts
}
