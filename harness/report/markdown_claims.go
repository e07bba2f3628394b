package report

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

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
		fmt.Fprintf(&b, "Untested by this run: %s.\n\n", cell(strings.Join(untested, ", ")))
	}
	return b.String()
}

// instead is what to do where the runbook does not hold.
func instead(r *result.Run) string {
	var b strings.Builder
	for _, c := range r.Claims {
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
func shown(r *result.Run) string {
	var b strings.Builder
	for _, c := range r.Claims {
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
		if value := measured(e); value != "" {
			all = append(all, fmt.Sprintf("%s/%s: %s", e.Scenario, e.Arm, value))
		}
	}
	return strings.Join(all, "; ")
}

// measured is the figures of one piece of evidence; "" for a sentence, which stands in
// because.
func measured(e result.Evidence) string {
	switch v := e.Value.(type) {
	case string:
		return ""
	case map[string]float64:
		return figures(v)
	case map[string]any: // as it is read back from run.json
		read := map[string]float64{}
		for name, x := range v {
			read[name], _ = x.(float64)
		}
		return figures(read)
	}
	field := e.Field[strings.LastIndex(e.Field, ".")+1:]
	return fmt.Sprintf("%s %v", strings.ReplaceAll(field, "_", " "), e.Value)
}

// figures is "name value, name value", with the names' underscores as spaces.
// What is there for others to pool is left out.
func figures(f map[string]float64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if strings.HasSuffix(name, "monitored_ms") || strings.HasSuffix(name, "_decisions") {
			continue
		}
		all = append(all, fmt.Sprintf("%s %s", strings.ReplaceAll(name, "_", " "), strconv.FormatFloat(f[name], 'f', -1, 64)))
	}
	return strings.Join(all, ", ")
}
