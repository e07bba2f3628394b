package markdown

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// scorecard holds the runbook's claims against what was measured.
func scorecard(v *view.Run) string {
	var b bytes.Buffer
	if len(v.Tested) > 0 {
		table(&b, "claim", "the runbook", "verdict", "because")
		for _, c := range v.Tested {
			table(&b, c.ID, c.Words, bold(c.Verdict), c.Because)
		}
		b.WriteString("\n")
	}
	if v.Untested != "" {
		fmt.Fprintf(&b, "Untested by this run: %s.\n\n", cell(v.Untested))
	}
	return b.String()
}

// instead is what to do where the runbook does not hold.
func instead(v *view.Run) string {
	var b strings.Builder
	for _, c := range v.Claims {
		if c.Instead != "" {
			fmt.Fprintf(&b, "- **%s**: %s\n", cell(c.ID), cell(c.Instead))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + "\n"
}

// shown lists the figures that the scorecard rests on.
func shown(v *view.Run) string {
	var b strings.Builder
	for _, c := range v.Claims {
		if by := shownBy(c.Evidence); by != "" {
			fmt.Fprintf(&b, "- %s: %s\n", cell(c.ID), words(by))
		}
		for _, on := range c.Images {
			if by := shownBy(on.Evidence); by != "" {
				fmt.Fprintf(&b, "- %s on %s: %s\n", cell(c.ID), cell(on.Image), words(by))
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
