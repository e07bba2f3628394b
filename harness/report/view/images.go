package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// On is how the image of an arm follows its name; nothing in a run on one.
func On(image string) string {
	if image == "" {
		return ""
	}
	return " on " + image
}

// Differs is the last column of what has a column per image.
const Differs = "differs"

// ImageMatrix has a line for each arm and a column for each image, with what came of
// the arm there.
func ImageMatrix(r *result.Run, images []string) Matrix {
	m := Matrix{Columns: append(append([]string{"arm"}, images...), Differs)}
	for _, line := range ByArm(r) {
		cells, arms := []string{line.Arm}, [][]Row{nil}
		for _, image := range images {
			one := line.on(image)
			cells = append(cells, one.came())
			arms = append(arms, []Row{one})
		}
		m.Lines = append(m.Lines, matrixLine{Scenario: line.Scenario, Cells: append(cells, Mark(line.Answers())),
			Arms: append(arms, nil)})
	}
	return m
}

// armLine is one arm on all images.
type armLine struct {
	Scenario, Arm string
	Rows          []Row // an image each
}

// ByArm takes the rows of a run together that differ by their image alone.
func ByArm(r *result.Run) []armLine {
	var lines []armLine
	for _, one := range Rows(r) {
		i := slices.IndexFunc(lines, func(l armLine) bool { return l.Scenario == one.Scenario && l.Arm == one.Arm })
		if i < 0 {
			lines = append(lines, armLine{Scenario: one.Scenario, Arm: one.Arm})
			i = len(lines) - 1
		}
		lines[i].Rows = append(lines[i].Rows, one)
	}
	return lines
}

// on is the arm's row on one image; one without repeats where it did not run there.
func (l armLine) on(image string) Row {
	i := slices.IndexFunc(l.Rows, func(r Row) bool { return r.Image == image })
	if i < 0 {
		return Row{}
	}
	return l.Rows[i]
}

// Answers are what the images say of the arm, one each. An image on which nothing can
// be said has no say.
func (l armLine) Answers() []string {
	var all []string
	for _, r := range l.Rows {
		if said := r.answer(); said != "" {
			all = append(all, said)
		}
	}
	return all
}

// answer is what the conclusive repeats came to, each once, sorted; "" if none was.
func (r Row) answer() string {
	var all []string
	for _, a := range r.Repeats {
		if a.Outcome != result.Inconclusive {
			all = append(all, CameTo(a))
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "; ")
}

// CameTo is the verdict, or what was found where there is none to reach or none was
// reached.
func CameTo(a result.Arm) string {
	switch {
	case a.Verdict == "" && a.Outcome == result.Fail:
		return a.Finding() + ", fail"
	case a.Verdict == "":
		return a.Finding()
	case a.Unsafe:
		return string(a.Verdict) + ", UNSAFE"
	}
	return string(a.Verdict)
}

// came is what came of an arm in a cell of its image.
func (r Row) came() string {
	switch {
	case len(r.Repeats) == 0:
		return "-"
	case r.Repeats[0].Verdict == "":
		return r.Tally(CameTo)
	}
	if r.answer() == "" { // a verdict was reached, and is in doubt
		return r.brief(r.Arm) + ", inconclusive"
	}
	return r.brief(r.Arm)
}

// Mark stands in the last column, and catches the eye where answers are not the same.
func Mark(answers []string) string {
	switch {
	case len(answers) < 2: // nothing to compare
		return "-"
	case Differ(answers):
		return "**yes**"
	}
	return "no"
}

func Differ(answers []string) bool {
	return slices.ContainsFunc(answers, func(a string) bool { return a != answers[0] })
}

// short is a scenario in short, and on which images.
type short struct{ On, Said string }

// InShortOn says a scenario in short: once where all images agree, else for each
// group that does.
func InShortOn(r *result.Run, sc result.Scenario) []short {
	images := r.Images()
	if len(images) == 0 {
		images = []string{""}
	}
	var groups []short
	of := map[string][]string{}
	for _, image := range images {
		said := inShort(Rows(&result.Run{Scenarios: []result.Scenario{sc.On(image)}}))
		if said == "" {
			continue
		}
		if of[said] == nil {
			groups = append(groups, short{Said: said})
		}
		of[said] = append(of[said], "`"+Code(image)+"`")
	}
	for i := range groups {
		if len(groups) > 1 {
			groups[i].On = ", on " + strings.Join(of[groups[i].Said], ", ")
		}
	}
	return groups
}

// did is what one signal did on one image. Images agree where the kind is the same.
type did struct {
	result.Signal
	Kind, Words string
}

func (r Row) Did(name string) did {
	s, fired, detect := r.Signal(name)
	alarms, of := 0, 0
	for _, a := range r.Repeats {
		for _, x := range a.Signals {
			if x.Name == name {
				of++
				alarms += x.BaselineFirings
			}
		}
	}
	d := did{Signal: s}
	switch {
	case s.Name == "":
		d.Words = "-"
		return d
	case s.Unavailable != "":
		d.Kind, d.Words = "not available", "not available: "+s.Unavailable
		return d
	case fired == 0:
		d.Kind = "silent"
	case fired == of:
		d.Kind = "fires"
	default:
		d.Kind = "fires now and then"
	}
	d.Words = fmt.Sprintf("%d of %d", fired, of)
	if fired > 0 {
		d.Words += ", " + detect
	}
	if alarms > 0 {
		d.Words += fmt.Sprintf(", %d false %s before", alarms, text.Noun(alarms, "alarm"))
	}
	return d
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
