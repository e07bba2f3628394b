package junit

import (
	"bytes"
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/joshdk/go-junit"

	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// What a CI server's parser makes of a run: it is a failure where an expectation was
// not met, skipped where nothing can be said, and passes otherwise.
func TestJUnit(t *testing.T) {
	detect := 95.0
	arm := func(name string, o result.Outcome, reasons ...string) result.Arm {
		return result.Arm{
			Name: name, Remedy: "restart-server", Repeat: 1, Reproduced: sample.Yes(), Outcome: o, Reasons: reasons,
			Verdict: result.Relapsed, Expected: result.Cured,
			Phases: []result.Phase{{EndMS: 2500}},
			Signals: []result.Signal{
				{Name: "client-saturation", Expected: "fire", Met: true, Fired: true, DetectMS: &detect},
				{Name: "goodput-collapse", Expected: "silent", Met: o == result.Pass, Fired: true,
					Figures: map[string]float64{"goodput_per_s": 12}},
				{Name: "deadlock", Expected: "any", Met: true},
				{Name: "lock-set-retries", Expected: "fire", Unavailable: "the user may not run MONITOR"},
			},
		}
	}
	silent, verdict := "signal goodput-collapse was to stay silent and fired after 95 ms",
		"remedy restart-server was expected to be cured and was relapsed <&\x01"
	r := &result.Run{ID: "x", Status: result.Completed, Scenarios: []result.Scenario{{Name: "s", Arms: []result.Arm{
		arm("good", result.Pass), arm("bad", result.Fail, silent, verdict),
		arm("unclear", result.Inconclusive, silent, "the machine was too busy"),
	}}}}
	var b bytes.Buffer
	if err := Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	suites, err := junit.Ingest(b.Bytes())
	if err != nil || len(suites) != 3 {
		t.Fatalf("%v, %d suites:\n%s", err, len(suites), &b)
	}
	for i, want := range []junit.Totals{{Tests: 4, Passed: 3, Skipped: 1}, {Tests: 4, Passed: 1, Skipped: 1, Failed: 2},
		{Tests: 3 + 1, Skipped: 4}} {
		got := suites[i].Totals
		if got.Tests != want.Tests || got.Passed != want.Passed || got.Skipped != want.Skipped ||
			got.Failed != want.Failed {
			t.Errorf("%s: %+v, want %+v", suites[i].Name, got, want)
		}
	}
	for _, want := range []struct{ name, message string }{
		{"signal goodput-collapse: silent", silent},
		{"remedy restart-server: cured", strings.Replace(verdict, "\x01", "\uFFFD", 1)},
	} {
		found := false
		for _, c := range suites[1].Tests {
			found = found || c.Name == want.name && c.Message == want.message
		}
		if !found {
			t.Errorf("no case %q says %q:\n%s", want.name, want.message, &b)
		}
	}
}

// A run that was cut short is not green for want of arms that failed.
func TestJUnitOfARunThatWasCutShort(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, view.Of(&result.Run{ID: "x", Status: result.Interrupted,
		Because: "interrupted by SIGINT"})); err != nil {
		t.Fatal(err)
	}
	suites, err := junit.Ingest(b.Bytes())
	if err != nil || len(suites) != 1 || suites[0].Totals.Failed != 1 ||
		!strings.Contains(b.String(), "the run was interrupted: interrupted by SIGINT") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// What junit-10.xsd of Jenkins' xUnit plugin knows of each element that is written here:
// the elements that may stand in it, and its attributes, with a star where it has to have
// them. Their order is free there.
var jenkins = map[string]struct{ within, attributes string }{
	"testsuites": {"testsuite", "name time tests failures errors"},
	"testsuite":  {"properties testcase", "name* tests* failures* errors* time skipped timestamp"},
	"properties": {"property", ""},
	"property":   {"", "name* value*"},
	"testcase":   {"skipped failure", "name* time classname"},
	"failure":    {"", "type message"},
	"skipped":    {"", "type message"},
}

func TestJUnitIsWhatJenkinsReads(t *testing.T) {
	r, err := rundir.Load("../../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	r.Scenarios[0].Arms[0].Outcome, r.Scenarios[0].Arms[0].Reasons = result.Fail, []string{"a reason"}
	r.Scenarios[0].Arms[1].Outcome = result.Inconclusive
	r.Status = result.Interrupted
	var b bytes.Buffer
	if err := Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var open []string
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			name := x.Name.Local
			known, ok := jenkins[name]
			if len(open) > 0 && !slices.Contains(strings.Fields(jenkins[open[len(open)-1]].within), name) || !ok {
				t.Errorf("<%s> stands in %v", name, open)
			}
			attributesAllowed(t, x, known.attributes)
			seen[name], open = true, append(open, name)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	if len(seen) != len(jenkins) {
		t.Errorf("only %v are written, and the others not looked at", seen)
	}
}

func attributesAllowed(t *testing.T, x xml.StartElement, allowed string) {
	t.Helper()
	has := map[string]string{}
	for _, a := range x.Attr {
		has[a.Name.Local] = a.Value
	}
	if seconds, ok := has["time"]; ok && !regexp.MustCompile(`^[0-9]*(\.[0-9]*)?$`).MatchString(seconds) {
		t.Errorf("<%s> takes %q", x.Name.Local, seconds)
	}
	for _, name := range strings.Fields(allowed) {
		bare, needed := strings.CutSuffix(name, "*")
		if _, ok := has[bare]; needed && !ok {
			t.Errorf("<%s> has no %s", x.Name.Local, bare)
		}
		delete(has, bare)
	}
	if len(has) > 0 {
		t.Errorf("<%s> has %v", x.Name.Local, has)
	}
}

// An arm that failed for no recorded reason is not green, nor one whose outcome is none.
func TestJUnitOfADamagedOutcome(t *testing.T) {
	for _, outcome := range []result.Outcome{result.Fail, "weird", ""} {
		var b bytes.Buffer
		err := Write(&b, view.Of(&result.Run{ID: "x", Status: result.Completed,
			Scenarios: []result.Scenario{{Name: "s", Arms: []result.Arm{{Name: "a", Outcome: outcome}}}}}))
		if err != nil || !strings.Contains(b.String(), `failures="1"`) ||
			!strings.Contains(b.String(), "no reason is recorded") {
			t.Errorf("%q: %v\n%s", outcome, err, &b)
		}
	}
}
