package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// on is how the image of an arm follows its name; nothing in a run on one.
func on(image string) string {
	if image == "" {
		return ""
	}
	return " on " + image
}

// differs is the last column of what has a column per image.
const differs = "differs"

// imageMatrix has a line for each arm and a column for each image, with what came of
// the arm there.
func imageMatrix(r *result.Run, images []string) matrix {
	m := matrix{columns: append(append([]string{"arm"}, images...), differs)}
	for _, line := range byArm(r) {
		cells, arms := []string{line.arm}, [][]row{nil}
		for _, image := range images {
			one := line.on(image)
			cells = append(cells, one.came())
			arms = append(arms, []row{one})
		}
		m.lines = append(m.lines, matrixLine{scenario: line.scenario, cells: append(cells, mark(line.answers())), arms: append(arms, nil)})
	}
	return m
}

// armLine is one arm on all images.
type armLine struct {
	scenario, arm string
	rows          []row // an image each
}

// byArm takes the rows of a run together that differ by their image alone.
func byArm(r *result.Run) []armLine {
	var lines []armLine
	for _, one := range rows(r) {
		i := slices.IndexFunc(lines, func(l armLine) bool { return l.scenario == one.scenario && l.arm == one.arm })
		if i < 0 {
			lines = append(lines, armLine{scenario: one.scenario, arm: one.arm})
			i = len(lines) - 1
		}
		lines[i].rows = append(lines[i].rows, one)
	}
	return lines
}

// on is the arm's row on one image; one without repeats where it did not run there.
func (l armLine) on(image string) row {
	i := slices.IndexFunc(l.rows, func(r row) bool { return r.image == image })
	if i < 0 {
		return row{}
	}
	return l.rows[i]
}

// answers are what the images say of the arm, one each. An image on which nothing can
// be said has no say.
func (l armLine) answers() []string {
	var all []string
	for _, r := range l.rows {
		if said := r.answer(); said != "" {
			all = append(all, said)
		}
	}
	return all
}

// answer is what the conclusive repeats came to, each once, sorted; "" if none was.
func (r row) answer() string {
	var all []string
	for _, a := range r.repeats {
		if a.Outcome != result.Inconclusive {
			all = append(all, cameTo(a))
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "; ")
}

// cameTo is the verdict, or what was found where there is none to reach or none was
// reached.
func cameTo(a result.Arm) string {
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
func (r row) came() string {
	switch {
	case len(r.repeats) == 0:
		return "-"
	case r.repeats[0].Verdict == "":
		return r.tally(cameTo)
	}
	if r.answer() == "" { // a verdict was reached, and is in doubt
		return r.brief(r.arm) + ", inconclusive"
	}
	return r.brief(r.arm)
}

// mark stands in the last column, and catches the eye where answers are not the same.
func mark(answers []string) string {
	switch {
	case len(answers) < 2: // nothing to compare
		return "-"
	case differ(answers):
		return "**yes**"
	}
	return "no"
}

func differ(answers []string) bool {
	return slices.ContainsFunc(answers, func(a string) bool { return a != answers[0] })
}

// short is a scenario in short, and on which images.
type short struct{ on, said string }

// inShortOn says a scenario in short: once where all images agree, else for each
// group that does.
func inShortOn(r *result.Run, sc result.Scenario) []short {
	images := r.Images()
	if len(images) == 0 {
		images = []string{""}
	}
	var groups []short
	of := map[string][]string{}
	for _, image := range images {
		said := inShort(rows(&result.Run{Scenarios: []result.Scenario{sc.On(image)}}))
		if said == "" {
			continue
		}
		if of[said] == nil {
			groups = append(groups, short{said: said})
		}
		of[said] = append(of[said], "`"+code(image)+"`")
	}
	for i := range groups {
		if len(groups) > 1 {
			groups[i].on = ", on " + strings.Join(of[groups[i].said], ", ")
		}
	}
	return groups
}

// signalsByImage has a line for each signal and a column for each image: in how many
// arms it fired there, after how long, and what else it did.
func signalsByImage(b *bytes.Buffer, sc result.Scenario, images []string) {
	table(b, append(append([]string{"signal", "claim", "expected"}, images...), differs)...)
	for _, name := range signalNames(sc) {
		var cells, kinds []string
		var s result.Signal
		for _, image := range images {
			did := live(sc.On(image)).did(name)
			cells = append(cells, did.words)
			if did.kind != "" {
				kinds = append(kinds, did.kind)
				s = did.Signal
			}
		}
		table(b, append(append([]string{name, orDash(s.Claim), s.Expected}, cells...), mark(kinds))...)
	}
}

// did is what one signal did on one image. Images agree where the kind is the same.
type did struct {
	result.Signal
	kind, words string
}

func (r row) did(name string) did {
	s, fired, detect := r.signal(name)
	alarms, of := 0, 0
	for _, a := range r.repeats {
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
		d.words = "-"
		return d
	case s.Unavailable != "":
		d.kind, d.words = "not available", "not available: "+s.Unavailable
		return d
	case fired == 0:
		d.kind = "silent"
	case fired == of:
		d.kind = "fires"
	default:
		d.kind = "fires now and then"
	}
	d.words = fmt.Sprintf("%d of %d", fired, of)
	if fired > 0 {
		d.words += ", " + detect
	}
	if alarms > 0 {
		d.words += fmt.Sprintf(", %d false %s before", alarms, text.Noun(alarms, "alarm"))
	}
	return d
}

// tableOfImages says in plain text which arms came out differently, in a run on
// several images.
func tableOfImages(w io.Writer, r *result.Run) error {
	images := r.Images()
	if len(images) == 0 {
		return nil
	}
	var b bytes.Buffer
	lines, compared := byArm(r), 0
	for _, l := range lines {
		answers := l.answers()
		if len(answers) == len(images) {
			compared++
		}
		if !differ(answers) {
			continue
		}
		var said []string
		for _, one := range l.rows {
			said = append(said, fmt.Sprintf("%s on %s", one.tally(cameTo), one.image))
		}
		fmt.Fprintf(&b, "differs: %s/%s: %s\n", plain(l.scenario), plain(l.arm), plain(strings.Join(said, "; ")))
	}
	switch {
	case b.Len() > 0:
	case compared == len(lines):
		fmt.Fprintf(&b, "no arm differs between the %d images\n", len(images))
	default:
		fmt.Fprintf(&b, "%d of %d arms can be compared between all %d images, and none differs\n", compared, len(lines), len(images))
	}
	_, err := fmt.Fprintf(w, "\n%s", &b)
	return err
}

// ofServer is what a run ran on: the server, and what it says that it has.
func ofServer(s result.Server) string {
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
	}{{"has", has}, {"lacks", lacks}, {"does not say whether it has", unknown}, {"settings not as asked or not read back:", s.NotReadBack}} {
		if len(part.names) > 0 {
			words += fmt.Sprintf("; %s %s", part.verb, strings.Join(part.names, ", "))
		}
	}
	return words
}
