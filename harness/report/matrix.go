package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/remedies"
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
}

// beyond is the column of preventions that the runbook does not name.
const beyond = "beyond the runbook"

// remedyMatrix has a column for doing nothing, and one for each remedy that was tried.
func remedyMatrix(r *harness.Run) matrix {
	columns := []string{remedies.NoRemedy}
	for _, remedy := range remedies.All() {
		if remedy.Name != remedies.NoRemedy {
			columns = append(columns, remedy.Name)
		}
	}
	return newMatrix(r, columns, func(a row) string {
		failure := func(r harness.ArmResult) bool { return r.Reproduced != nil }
		if a.prevention != "" || !slices.ContainsFunc(a.repeats, failure) {
			return ""
		}
		return a.remedy
	})
}

// preventionMatrix has a column for each claim of prevention, and one for what the
// runbook does not know of.
func preventionMatrix(r *harness.Run) matrix {
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
func newMatrix(r *harness.Run, columns []string, of func(row) string) matrix {
	all := map[string]map[string][]string{}
	used := map[string]bool{}
	for _, a := range rows(r) {
		column := of(a)
		if column == "" {
			continue
		}
		if all[a.scenario] == nil {
			all[a.scenario] = map[string][]string{}
		}
		all[a.scenario][column] = append(all[a.scenario][column], a.brief(column))
		used[column] = true
	}
	m := matrix{columns: slices.DeleteFunc(columns, func(c string) bool { return !used[c] })}
	for _, sc := range r.Scenarios {
		if len(all[sc.Name]) == 0 {
			continue
		}
		line := matrixLine{scenario: sc.Name}
		for _, c := range m.columns {
			line.cells = append(line.cells, cmp.Or(strings.Join(all[sc.Name][c], "; "), "-"))
		}
		m.lines = append(m.lines, line)
	}
	return m
}

// brief is an arm in a cell of its column: verdict, share of the baseline with its
// interval, time to recover, safety faults, as far as they say something.
func (r row) brief(column string) string {
	parts := []string{r.verdict()}
	a := r.repeats[0]
	if a.Verdict == harness.Cured || a.Verdict == harness.Partial || a.Verdict == harness.Prevented || a.Verdict == harness.Mitigated {
		parts = append(parts, r.ratio())
		if back := r.restored(); back != "-" {
			parts = append(parts, "after "+back)
		}
	}
	if a.Unsafe {
		parts = append(parts, r.faults()+" faults")
	}
	said := strings.Join(parts, ", ")
	if r.arm == column || r.arm == "control" {
		return said
	}
	return fmt.Sprintf("%s: %s", strings.TrimPrefix(r.arm, column+"-"), said)
}
