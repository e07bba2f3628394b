package claims

import (
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

const noArm = "No arm of this run bears on it."

// conclusive reports whether an arm is evidence of anything.
func conclusive(a *result.Arm) bool { return a.Outcome != result.Inconclusive }

func verdictOf(yes, no int) string {
	switch {
	case yes == 0 && no == 0:
		return result.Untested
	case no == 0:
		return result.Confirmed
	case yes == 0:
		return result.Refuted
	}
	return result.Conditional
}

// sentence joins what is not empty: sentence("cures", [a b], "fails", nil) is
// "It cures a and b."
func sentence(parts ...any) string {
	var said []string
	for i := 0; i < len(parts); i += 2 {
		if names := parts[i+1].([]string); len(names) > 0 {
			said = append(said, parts[i].(string)+" "+text.List(names))
		}
	}
	if len(said) == 0 {
		return noArm
	}
	return "It " + strings.Join(said, "; it ") + "."
}

// readAfter is what a signal read at the end of the recovery.
func readAfter(a *result.Arm, signal string) map[string]float64 {
	for _, s := range a.Signals {
		if s.Name == signal {
			return s.FiguresAfter
		}
	}
	return nil
}
