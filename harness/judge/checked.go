package judge

import (
	"slices"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/triggers"
)

// checked lists what was compared with an expectation of the scenario.
func (j *judge) checked() {
	j.r.Checked = []string{}
	add := func(what string, is bool) {
		if is {
			j.r.Checked = append(j.r.Checked, what)
		}
	}
	reached := j.r.Verdict != ""
	add(result.CheckedVerdict, j.r.Expected != "" && reached)
	add(result.CheckedSafety, j.arm.Expect.Unsafe != nil && reached || j.sc.Trigger.Kind == triggers.None)
	add(result.CheckedIncident, j.sc.Incident.Kind != "" && j.r.Reproduced != nil && j.arm.Prevention == "")
	add(result.CheckedSignals, slices.ContainsFunc(j.r.Signals, result.Signal.Checked))
}
