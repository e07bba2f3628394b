package markdown

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// scorecard holds the runbook's claims against what was measured.
func scorecard(r *result.Run) string {
	var b bytes.Buffer
	var untested []string
	for _, c := range r.Claims {
		if c.Verdict == result.Untested {
			untested = append(untested, c.ID)
			continue
		}
		if b.Len() == 0 {
			table(&b, "claim", "the runbook", "verdict", "because")
		}
		table(&b, c.ID, c.Words, bold(c.Verdict), c.Because)
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	if len(untested) > 0 {
		fmt.Fprintf(&b, "Untested by this run: %s.\n\n", view.Cell(strings.Join(untested, ", ")))
	}
	return b.String()
}

// instead is what to do where the runbook does not hold.
func instead(r *result.Run) string {
	var b strings.Builder
	for _, c := range r.Claims {
		if c.Instead != "" {
			fmt.Fprintf(&b, "- **%s**: %s\n", view.Cell(c.ID), view.Cell(c.Instead))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + "\n"
}

// shown lists the figures that the scorecard rests on.
func shown(r *result.Run) string {
	var b strings.Builder
	for _, c := range r.Claims {
		if by := shownBy(c.Evidence); by != "" {
			fmt.Fprintf(&b, "- %s: %s\n", view.Cell(c.ID), view.Words(by))
		}
		for _, on := range c.Images {
			if by := shownBy(on.Evidence); by != "" {
				fmt.Fprintf(&b, "- %s on %s: %s\n", view.Cell(c.ID), view.Cell(on.Image), view.Words(by))
			}
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return folded("arms and figures", b.String()+"\n")
}

// shownBy names the arms and figures that a verdict rests on.
func shownBy(evidence []result.Evidence) string {
	var all []string
	for _, e := range evidence {
		if value := view.Measured(e); value != "" {
			all = append(all, fmt.Sprintf("%s/%s: %s", e.Scenario, e.Arm, value))
		}
	}
	return strings.Join(all, "; ")
}
