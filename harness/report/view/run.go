// Package view is the one view-model of the reports: what every format says of a run or of a
// comparison, computed once and rendered nowhere here. The formats are its siblings, html,
// markdown, junit and chart; package report, above, chooses among them.
package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Run is a run as the formats show it.
type Run struct {
	*result.Run
	On       []string // the images, if there are several servers; else none
	Chapters []Chapter
	Rows     []Row // of all chapters
	Matrices []Matrix
	Reasons  []Reason
	Facts    []Fact         // what it ran on
	Tested   []result.Claim // by this run
	Untested string         // the other claims
	Signals  []string       // every signal's name, in the order of the run
	Quiet    string         // false alarms in all; "" where nothing was to stay quiet
}

// Chapter is one scenario.
type Chapter struct {
	result.Scenario
	Rows  []Row
	Short []Short
}

// Reason is one of the reasons why an arm did not pass.
type Reason struct {
	Scenario *result.Scenario
	Arm      *result.Arm
	Why      string
}

// Fact is a line of a list of properties.
type Fact struct{ Name, Text string }

// Of computes what the formats say of a run. It reads no file.
func Of(r *result.Run) *Run {
	v := &Run{Run: r, On: r.Images(), Facts: ranOn(r), Quiet: quiet(r)}
	for i := range r.Scenarios {
		sc := &r.Scenarios[i]
		c := Chapter{Scenario: *sc, Rows: fold(*sc)}
		c.Short = inShortOn(v.On, c.Rows)
		v.Chapters, v.Rows = append(v.Chapters, c), append(v.Rows, c.Rows...)
		for k := range sc.Arms {
			for _, why := range sc.Arms[k].Reasons {
				v.Reasons = append(v.Reasons, Reason{sc, &sc.Arms[k], why})
			}
		}
		for _, name := range SignalNames(sc.Arms) {
			if !slices.Contains(v.Signals, name) {
				v.Signals = append(v.Signals, name)
			}
		}
	}
	v.Matrices = matrices(v)
	var untested []string
	for _, c := range r.Claims {
		if c.Verdict == result.Untested {
			untested = append(untested, c.ID)
		} else {
			v.Tested = append(v.Tested, c)
		}
	}
	v.Untested = strings.Join(untested, ", ")
	return v
}

// RepeatOf is how the repeat follows the name of an arm; nothing where there is one.
func (v *Run) RepeatOf(a *result.Arm) string {
	if v.Repeat < 2 {
		return ""
	}
	return fmt.Sprintf(" (repeat %d)", a.Repeat)
}

// Unchecked says in a line which arms' findings the scenario expects nothing of, name making
// a name of each; "" if there are none. They count for no expectation that was met.
func (v *Run) Unchecked(name func(Row) string) string {
	var open []string
	for _, one := range v.Rows {
		if slices.ContainsFunc(one.Repeats,
			func(a result.Arm) bool { return a.Outcome == result.Pass && a.NotChecked() != "" }) {
			open = append(open, name(one))
		}
	}
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf("%s not checked, for want of an `expect` in the scenario: %s", text.Plural(len(open), "arm"),
		text.FirstOf(open, ", ", MaxNames))
}

// ranOn is what a run ran on, without when.
func ranOn(r *result.Run) []Fact {
	e := r.Environment
	servers := e.Servers
	if len(servers) == 0 {
		servers = []result.Server{e.Server}
	}
	var all []Fact
	for _, s := range servers {
		all = append(all, Fact{"server", OfServer(s)})
	}
	return append(all, Fact{"client", "go-redis " + e.GoRedis}, Fact{"lockjam", e.Lockjam + ", " + e.Go},
		Fact{"machine", fmt.Sprintf("%s, %d cores", e.OS, e.CPUs)}, Fact{"seed", fmt.Sprint(r.Seed)})
}

// OfServer is what a run ran on: the server, and what it says that it has.
func OfServer(s result.Server) string {
	words := s.Kind
	if s.Version != "" {
		words = s.Version + ", " + words
	}
	if s.Image != "" {
		words += " " + s.Image
	}
	if s.Binary != "" {
		words += " " + s.Binary
	}
	if s.Network != "" {
		words += ", network " + s.Network
	}
	var has, lacks, unknown []string
	for _, f := range s.Features {
		switch {
		case f.Has == nil:
			unknown = append(unknown, fmt.Sprintf("%s (%s)", f.Name, f.Unknown))
		case !*f.Has:
			lacks = append(lacks, f.Name)
		case f.Value != "":
			has = append(has, f.Name+" "+f.Value)
		default:
			has = append(has, f.Name)
		}
	}
	for _, part := range []struct {
		verb  string
		names []string
	}{{"has", has}, {"lacks", lacks}, {"does not say whether it has", unknown},
		{"settings not as asked or not read back:", s.NotReadBack}} {
		if len(part.names) > 0 {
			words += fmt.Sprintf("; %s %s", part.verb, strings.Join(part.names, ", "))
		}
	}
	return words
}
