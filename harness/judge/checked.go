package judge

import (
	"slices"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/triggers"
)

// checked lists what was compared with an expectation of the scenario.
func checked(e Evidence, out *ruling) {
	out.Checked = []string{}
	add := func(what string, is bool) {
		if is {
			out.Checked = append(out.Checked, what)
		}
	}
	reached := out.Verdict != ""
	add(result.CheckedVerdict, out.Expected != "" && reached)
	add(result.CheckedSafety, e.Arm.Expect.Unsafe != nil && reached || e.Scenario.Trigger.Kind == triggers.None)
	add(result.CheckedIncident, e.Scenario.Incident.Kind != "" && out.Reproduced != nil && e.Arm.Prevention == "")
	add(result.CheckedSignals, slices.ContainsFunc(out.Signals, result.Signal.Checked))
}
