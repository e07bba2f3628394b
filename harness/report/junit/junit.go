// Package junit writes a run as JUnit XML.
package junit

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/text"
)

// Write writes junit.xml, as CI servers read it (junit-10.xsd of Jenkins' xUnit plugin):
// a suite for each arm, with a case for each signal of which something is expected,
// and one for everything else that is: the incident, the verdict, safety. What was not
// met is a failure. Where nothing can be said, or the scenario expects no verdict of the
// arm, the case is skipped, with the reason.
func Write(w io.Writer, v *view.Run) error {
	all := junitRun{Name: "lockjam " + v.ID}
	for _, sc := range v.Scenarios {
		for i := range sc.Arms {
			all.add(junitArm(v, sc.Name, &sc.Arms[i]))
		}
	}
	if v.Status != result.Completed {
		all.add(cutShort(v))
	}
	body, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("report: junit: %w", err)
	}
	// The encoder marks what no XML may hold; this, what is invisible.
	_, err = io.WriteString(w, xml.Header+text.Printable(string(body))+"\n")
	return err
}

type junitRun struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"` // in seconds
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string       `xml:"name,attr"`
	Class   string       `xml:"classname,attr"`
	Time    string       `xml:"time,attr"`
	Failure *junitResult `xml:"failure"`
	Skipped *junitResult `xml:"skipped"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (all *junitRun) add(s junitSuite) {
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Suites = append(all.Suites, s)
}

func junitArm(v *view.Run, scenarioName string, a *result.Arm) junitSuite {
	name := scenarioName + "." + a.Name + strings.ReplaceAll(view.On(a.Image), " ", "-") + v.RepeatOf(a)
	s := junitSuite{
		Name: name, Timestamp: began(v), Time: seconds(a.Took()),
		Properties: []junitProperty{{"folder", a.Folder}, {"outcome", string(a.Outcome)},
			{"verdict", string(a.Verdict)}, {"as expected", a.AsExpected()}},
	}
	told := map[string]bool{}
	for _, x := range a.Signals {
		if x.Expected == string(scenario.Any) || x.Expected == "" {
			continue
		}
		c := junitCase{Name: "signal " + x.Name + ": " + x.Expected, Class: name, Time: "0"}
		if x.DetectMS != nil {
			c.Time = seconds(time.Duration(*x.DetectMS * float64(time.Millisecond)))
		}
		why := about(a, x.Name, told)
		switch {
		case a.Outcome == result.Inconclusive: // what it shows is no evidence, whichever way it points
			c.settle(a, why, view.Figures(x.Figures))
		case x.Unavailable != "":
			c.Skipped = &junitResult{Message: x.Silence()}
		case !x.Met:
			c.settle(a, why, view.Figures(x.Figures))
		}
		s.Cases = append(s.Cases, c)
	}
	s.Cases = append(s.Cases, junitVerdict(a, name, told))
	return s
}

// junitVerdict is the case for whatever is expected of an arm beside its signals.
func junitVerdict(a *result.Arm, class string, told map[string]bool) junitCase {
	what := "nothing happens"
	switch {
	case a.Prevention != "":
		what = "prevention " + a.Prevention
	case a.Reproduced != nil && a.Verdict == "" && a.Expected == "":
		what = "incident"
	case a.Reproduced != nil:
		what = "remedy " + a.Remedy
	}
	if a.Expected != "" {
		what += ": " + string(a.Expected)
	}
	c := junitCase{Name: what, Class: class, Time: seconds(a.Took())}
	var rest []string
	for _, why := range a.Reasons {
		if !told[why] {
			rest = append(rest, why)
		}
	}
	// A failure that no signal's case tells of is told here, also one without a reason.
	if len(rest) > 0 || a.Outcome != result.Pass && len(told) == 0 || a.Outcome == result.Inconclusive {
		c.settle(a, strings.Join(rest, "; "), a.Because)
		return c
	}
	if open := a.NotChecked(); open != "" && a.Outcome == result.Pass && a.Expected == "" {
		c.Skipped = &junitResult{Message: fmt.Sprintf("%s: the scenario has no expect for it; found: %s", open,
			a.Finding()), Text: a.Because}
	}
	return c
}

// settle makes a case a failure, or skips it where the arm proves nothing.
func (c *junitCase) settle(a *result.Arm, why, body string) {
	if why == "" {
		why = cmp.Or(strings.Join(a.Reasons, "; "), "the arm's outcome is "+strings.TrimSpace(string(a.Outcome))+
			", and no reason is recorded")
	}
	verdict := &junitResult{Message: why, Text: body}
	if a.Outcome == result.Inconclusive {
		c.Skipped = verdict
		return
	}
	c.Failure = verdict
}

// about are the reasons that name a signal. They are told once.
func about(a *result.Arm, signal string, told map[string]bool) string {
	var why []string
	for _, reason := range a.Reasons {
		if strings.HasPrefix(reason, "signal "+signal+" ") {
			told[reason] = true
			why = append(why, reason)
		}
	}
	return strings.Join(why, "; ")
}

// cutShort is a suite of one case that says why a run has no more of them: a CI server
// that sees only what did run would call it green.
func cutShort(v *view.Run) junitSuite {
	why := fmt.Sprintf("the run was %s: %s", v.Status, v.Because)
	return junitSuite{Name: "run", Time: "0", Timestamp: began(v),
		Cases: []junitCase{{Name: "all arms have run", Class: "run", Time: "0", Failure: &junitResult{Message: why}}}}
}

func began(v *view.Run) string { return v.Started.UTC().Format("2006-01-02T15:04:05") }

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
