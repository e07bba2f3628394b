package view

import (
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
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

// imageMatrix has a line for each arm and a column for each image, with what came of
// the arm there.
func imageMatrix(v *Run) Matrix {
	m := Matrix{By: ByImage, Columns: append(append([]string{"arm"}, v.On...), Differs)}
	for _, line := range v.ByArm() {
		cells, arms := []string{line.Arm}, [][]Row{nil}
		for _, image := range v.On {
			one := line.on(image)
			cells, arms = append(cells, one.came()), append(arms, []Row{one})
		}
		m.Lines = append(m.Lines, Line{Scenario: line.Scenario, Cells: append(cells, Mark(line.Answers())),
			Arms: append(arms, nil)})
	}
	return m
}

// ArmLine is one arm on all images.
type ArmLine struct {
	Scenario, Arm string
	Rows          []Row // an image each
}

// ByArm takes the rows of a run together that differ by their image alone.
func (v *Run) ByArm() []ArmLine {
	var lines []ArmLine
	for _, one := range v.Rows {
		i := slices.IndexFunc(lines, func(l ArmLine) bool { return l.Scenario == one.Scenario && l.Arm == one.Arm })
		if i < 0 {
			lines = append(lines, ArmLine{Scenario: one.Scenario, Arm: one.Arm})
			i = len(lines) - 1
		}
		lines[i].Rows = append(lines[i].Rows, one)
	}
	return lines
}

// on is the arm's row on one image; one without repeats where it did not run there.
func (l ArmLine) on(image string) Row {
	if i := slices.IndexFunc(l.Rows, func(r Row) bool { return r.Image == image }); i >= 0 {
		return l.Rows[i]
	}
	return Row{}
}

// Answers are what the images say of the arm, one each. An image on which nothing can
// be said has no say.
func (l ArmLine) Answers() []string {
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
	if a.Verdict == "" && a.Outcome == result.Fail {
		return a.Finding() + ", fail"
	}
	return verdict(a)
}

// came is what came of an arm in a cell of its image.
func (r Row) came() string {
	switch {
	case len(r.Repeats) == 0:
		return "-"
	case r.Repeats[0].Verdict == "":
		return Tally(r.Repeats, CameTo)
	case r.answer() == "": // a verdict was reached, and is in doubt
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

// Differ reports whether the answers are not all the same.
func Differ(answers []string) bool {
	return slices.ContainsFunc(answers, func(a string) bool { return a != answers[0] })
}
