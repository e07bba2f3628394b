package result

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/text"
)

// What a scenario can expect of an arm, as ArmResult.Checked names it.
const (
	CheckedVerdict  = "verdict"
	CheckedSafety   = "safety"
	CheckedIncident = "incident" // its kind
	CheckedSignals  = "signals"
)

// Checked reports whether the scenario expects anything of the signal, and the server
// let it be read.
func (s Signal) Checked() bool {
	return s.Expected != "" && s.Expected != AnyFiring && s.Unavailable == ""
}

// Silence is why nothing can be said of a signal.
func (s Signal) Silence() string {
	if s.AnsweredBy != "" {
		return "answered by " + s.AnsweredBy
	}
	return "not available: " + s.Unavailable
}

// NotChecked says what was found in an arm without the scenario expecting anything of it;
// "" if there is no such thing. A verdict that is not expected is a finding, and no pass.
func (a Arm) NotChecked() string {
	has := func(what string) bool { return slices.Contains(a.Checked, what) }
	switch {
	case a.Checked == nil && a.Verdict != "" && a.Expected == "": // recorded before there was the list
		return "verdict not checked"
	case a.Checked == nil:
		return ""
	case len(a.Checked) == 0:
		return "not checked"
	case a.Verdict != "" && !has(CheckedVerdict) && has(CheckedSafety):
		return "verdict not checked"
	case a.Verdict != "" && !has(CheckedVerdict):
		return "not checked beyond " + text.List(a.Checked)
	case a.Unsafe && !has(CheckedSafety):
		return "safety not checked"
	}
	return ""
}

// AsExpected answers whether an arm came out as its scenario expects: yes, NO,
// inconclusive, or what of it was not checked.
func (a Arm) AsExpected() string {
	switch a.Outcome {
	case Pass:
	case Fail:
		return "NO"
	default:
		return string(a.Outcome)
	}
	said := "yes"
	open := a.NotChecked()
	if strings.HasPrefix(open, "not checked") {
		said, open = open, ""
	}
	if a.Attempts > 1 {
		said += fmt.Sprintf(", at attempt %d", a.Attempts)
	}
	if open != "" {
		said += ", " + open
	}
	return said
}

// Finding is the verdict, or what an arm without one shows: whether its incident took
// place, or that nothing was to happen in it.
func (a Arm) Finding() string {
	switch {
	case a.Verdict != "":
		return string(a.Verdict)
	case a.Reproduced != nil && !*a.Reproduced:
		return "not reproduced"
	case a.Outcome != Pass && a.Outcome != Fail:
		return cmp.Or(string(a.Outcome), "-")
	case a.Reproduced != nil:
		return "reproduced"
	}
	return "no incident"
}
