package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// maxSummary is what the summary of a step holds, in bytes: GitHub's limit is 1 MiB, for
// all that the step writes there. Half is left to others.
const maxSummary = 512 << 10

// maxAnnotations is how many of a kind GitHub shows of a step.
const maxAnnotations = 10

// GitHub writes a run for GitHub Actions: the summary, which is the Markdown with more
// room, to one writer, and to the other an annotation, as a workflow command, for each
// reason why the run did not pass: an error for an expectation that was not met, a
// warning where nothing can be said, and one notice for all arms that were not checked.
func GitHub(summary, commands io.Writer, r *result.Run) error {
	return github(summary, commands, view.Of(r))
}

func github(summary, commands io.Writer, v *view.Run) error {
	if err := markdown.Within(summary, v, maxSummary); err != nil {
		return err
	}
	return annotations(commands, v)
}

// annotation is a message of GitHub's about a line of a file.
type annotation struct {
	kind         string // error, warning or notice
	file         string // "" is none
	line, column int    // 0 is none
	title        string
	message      string
}

func annotations(w io.Writer, v *view.Run) error {
	var errors, warnings []annotation
	if v.Status != result.Completed {
		errors = append(errors, annotation{kind: "error", title: "lockjam: the run did not complete",
			message: fmt.Sprintf("The run was %s: %s", v.Status, v.Because)})
	}
	for _, r := range v.Reasons {
		one := annotate(r, fmt.Sprintf("lockjam: %s / %s%s%s", r.Scenario.Name, r.Arm.Name, view.On(r.Arm.Image),
			v.RepeatOf(r.Arm)))
		if one.kind == "error" {
			errors = append(errors, one)
		} else {
			warnings = append(warnings, one)
		}
	}
	var b bytes.Buffer
	all := append(summedUp(errors), summedUp(warnings)...)
	if open := v.Unchecked(func(one view.Row) string { return one.Scenario + " / " + one.Name }); open != "" {
		all = append(all, annotation{kind: "notice", title: "lockjam: not checked", message: open})
	}
	for _, one := range all {
		b.WriteString(one.command() + "\n")
	}
	_, err := b.WriteTo(w)
	return err
}

// annotate says why an arm did not pass, at the line of the file that the user named. A
// scenario of the catalogue is in lockjam, and not in the user's repository: then the
// message says where.
func annotate(r view.Reason, title string) annotation {
	sc, a := r.Scenario, r.Arm
	one := annotation{kind: "warning", title: title, message: r.Why}
	if a.Outcome == result.Fail {
		one.kind = "error"
	}
	i := slices.IndexFunc(a.Places, func(p result.Location) bool { return p.Reason == r.Why })
	switch {
	case sc.File != "":
		one.file = inWorkspace(sc.File)
		if i >= 0 {
			one.line, one.column = a.Places[i].Line, a.Places[i].Column
		}
	case i >= 0:
		p := a.Places[i]
		one.message += fmt.Sprintf("\n%s is in line %d of `lockjam show --source %s`", p.Key, p.Line, sc.Name)
	}
	return one
}

// inWorkspace is a path as GitHub knows it, from the root of the repository: lockjam may
// have run in a folder below it. Other paths stay as they are.
func inWorkspace(path string) string {
	workspace := os.Getenv("GITHUB_WORKSPACE")
	whole, err := filepath.Abs(path)
	if workspace == "" || err != nil {
		return filepath.ToSlash(path)
	}
	if within, err := filepath.Rel(workspace, whole); err == nil && filepath.IsLocal(within) {
		path = within
	}
	return filepath.ToSlash(path)
}

// summedUp leaves as many as are shown, the last of which says how many more there are.
func summedUp(all []annotation) []annotation {
	if len(all) <= maxAnnotations {
		return all
	}
	rest := len(all) - maxAnnotations + 1
	return append(slices.Clone(all[:maxAnnotations-1]), annotation{
		kind: all[0].kind, title: fmt.Sprintf("lockjam: %d more", rest),
		message: fmt.Sprintf("GitHub shows %d of a kind. The summary of the job lists what did not pass, and run.json has all of it.", maxAnnotations),
	})
}

// What a runner takes back out of a command's message and of its properties.
var (
	inMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	inProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// maxMessage is what an annotation says at most, in characters: GitHub cuts at 4 KB.
const maxMessage = 1_000

// command is the annotation as a runner reads it from a line of the output.
func (a annotation) command() string {
	var properties []string
	add := func(name, value string) {
		properties = append(properties, name+"="+inProperty.Replace(view.Cut(view.Plain(value), view.Longest)))
	}
	if a.file != "" {
		add("file", a.file)
	}
	if a.line > 0 {
		add("line", fmt.Sprint(a.line))
		add("col", fmt.Sprint(max(a.column, 1)))
	}
	add("title", a.title)
	var lines []string
	for line := range strings.Lines(cmp.Or(a.message, "no reason is recorded")) {
		lines = append(lines, view.Plain(strings.TrimRight(line, "\r\n")))
	}
	return fmt.Sprintf("::%s %s::%s", a.kind, strings.Join(properties, ","),
		inMessage.Replace(view.Cut(strings.Join(lines, "\n"), maxMessage)))
}
