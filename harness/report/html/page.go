package html

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// htmlPage is what page.gohtml shows, in its order.
type htmlPage struct {
	Style  template.CSS
	Script template.JS
	Policy string

	Run       *view.Run
	Outcome   chip
	Status    string   // how it ended, where it did not complete
	Unjudged  []string // arms' folders
	Tallies   []tally
	Facts     facts
	NotPassed []doubt
	Matrices  []grid
	Claims    grid
	Signals   grid
	Flapping  []doubt
	Scenarios []chapter
}

// chip is a verdict or an outcome: a symbol and a tone, neither of which says anything
// that the words do not.
type chip struct{ Mark, Words, Tone string }

type tally struct{ Number, Words, Href, Tone string }

// doubt is an arm and why it needs a look.
type doubt struct {
	Chip      chip
	Arm       link
	Why       string
	RepeatOne string
}

// grid is a table. The first cell of a line is its header.
type grid struct {
	ID, Caption string
	Columns     []string
	Lines       [][]field
}

// field is a cell: one of its parts, or several.
type field struct {
	Text    string
	Sort    string // what to sort by, where the text does not do
	Code    bool
	Wide    bool // a sentence: it may wrap
	Chips   []chip
	Beside  string  // what stands behind the chips
	Entries []entry // arms
	More    *more
	Href    string
}

// entry is one arm in a cell of a matrix.
type entry struct {
	Arm   link
	Chips []chip
	Gains string
}

// more is a list that is folded away.
type more struct {
	Summary string
	Items   []entry
}

// chapter is one scenario.
type chapter struct {
	ID, Name, Title string
	Chip            chip
	Short           []sentence
	Arms            []*armView
}

// sentence has parts that are names.
type sentence struct {
	On    string
	Spans []span
}

type span struct {
	Text string
	Code bool
}

// builder makes a page of a run.
type builder struct {
	run    *view.Run
	folder *runFolder
	used   map[string]bool // ids
	arms   map[armKey]string
}

type armKey struct{ scenario, arm, image string }

func newPage(v *view.Run) *htmlPage {
	b := &builder{run: v, folder: openRunFolder(v.Folder), used: map[string]bool{}, arms: map[armKey]string{}}
	defer b.folder.close()
	p := &htmlPage{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), Policy: policy(pageStyle, pageScript), // ours
		Run: v, Outcome: outcomeChip(v.Outcome), Unjudged: b.folder.unjudged(v.Run), Facts: ranOn(v), Tallies: tallies(v),
		Scenarios: b.chapters(),
	}
	if v.Status != result.Completed {
		p.Status = cmp.Or(string(v.Status), "cut short")
	}
	for _, m := range v.Matrices {
		p.Matrices = append(p.Matrices, b.matrix(m))
	}
	p.NotPassed, p.Flapping = b.notPassed(), b.flapping() // these and the tables lead to arms of the chapters
	p.Claims, p.Signals = b.claims(), signals(v)
	return p
}

// id makes a name that can stand in an address, and gives it once.
func (b *builder) id(parts ...string) string {
	var slugs []string
	for _, part := range parts {
		slugs = append(slugs, slug(part))
	}
	name := strings.Join(slugs, "--")
	for n := 2; b.used[name]; n++ {
		name = fmt.Sprintf("%s-%d", strings.Join(slugs, "--"), n)
	}
	b.used[name] = true
	return name
}

// maxSlug bounds a part of an id, in characters.
const maxSlug = 60

func slug(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s)
	return cmp.Or(strings.Trim(s[:min(len(s), maxSlug)], "-"), "x")
}

// armLink leads to an arm's part of the page; nowhere if it is not in the run.
func (b *builder) armLink(scenario, arm, image, text string) link {
	l := link{Text: text, What: scenario + " / " + arm + view.On(image)}
	if id, ok := b.arms[armKey{scenario, arm, image}]; ok {
		l.Href = "#" + id
	}
	return l
}

func (b *builder) chapters() []chapter {
	var all []chapter
	var drawn []*armView
	for _, c := range b.run.Chapters {
		s := chapter{ID: b.id("scenario", c.Name), Name: c.Name, Title: c.Title, Chip: outcomeChip(result.Pass)}
		for _, short := range c.Short {
			s.Short = append(s.Short, sentence{On: strings.Join(short.Images, ", "), Spans: spans(short.Effects)})
		}
		for _, one := range c.Rows {
			a := b.arm(one)
			s.Chip = worse(s.Chip, a.Outcome)
			s.Arms = append(s.Arms, a)
		}
		drawn = append(drawn, s.Arms...)
		all = append(all, s)
	}
	drawAll(b.folder, drawn)
	return all
}

// spans tells the names in a sentence from its other words.
func spans(effects []view.Effect) []span {
	var all []span
	for i, e := range effects {
		words := e.Words + " "
		if i > 0 {
			words = "; " + words
		}
		for k, name := range e.Arms[:min(len(e.Arms), view.MaxNames)] {
			if k > 0 {
				words = ", "
			}
			all = append(all, span{Text: words}, span{Text: name, Code: true})
		}
		if more := len(e.Arms) - view.MaxNames; more > 0 {
			all = append(all, span{Text: fmt.Sprintf(" and %d more", more)})
		}
	}
	return all
}

type facts []view.Fact

// add adds a fact, unless there is nothing to say.
func (f *facts) add(name, text string) {
	if text != "" {
		*f = append(*f, view.Fact{Name: name, Text: strings.TrimSpace(text)})
	}
}

// ranOn is what the run ran on, and when.
func ranOn(v *view.Run) facts {
	all, name, text := slices.Clone(facts(v.Facts)), "began", v.Started.UTC().Format("2006-01-02 15:04:05 MST")
	if v.Finished != nil {
		name, text = "took", fmt.Sprintf("%.0f s, from %s", v.Finished.Sub(v.Started).Seconds(), text)
	}
	all.add(name, text)
	return all
}

func (b *builder) notPassed() []doubt {
	var all []doubt
	for _, sc := range b.run.Scenarios {
		for _, a := range sc.Arms {
			if a.Outcome == result.Pass {
				continue
			}
			all = append(all, doubt{Chip: outcomeChip(a.Outcome),
				Arm: b.armLink(sc.Name, a.Name, a.Image, sc.Name+" / "+a.Name+view.On(a.Image)),
				Why: cmp.Or(strings.Join(a.Reasons, "; "), "no reason is recorded"), RepeatOne: b.run.RepeatOf(&a)})
		}
	}
	return all
}

// flapping lists the arms whose verdict differs between repeats.
func (b *builder) flapping() []doubt {
	var all []doubt
	for _, one := range b.run.Rows {
		if one.Flaps() {
			all = append(all, doubt{Arm: b.armLink(one.Scenario, one.Arm, one.Image, one.Scenario+" / "+one.Name),
				Why: one.Verdict})
		}
	}
	return all
}

func tallies(v *view.Run) []tally {
	met, all, open, failed := 0, 0, 0, false
	for _, sc := range v.Scenarios {
		for _, a := range sc.Arms {
			all++
			switch {
			case a.Outcome != result.Pass:
				failed = true
			case strings.HasPrefix(a.AsExpected(), "yes"):
				met++
			default:
				open++
			}
		}
	}
	tallies := []tally{{fmt.Sprintf("%d of %d", met, all), "arms as expected", "#scenarios", "good"}}
	switch {
	case failed:
		tallies[0].Tone, tallies[0].Href = "harm", "#not-passed"
	case met == 0:
		tallies[0].Tone = "mid"
	}
	if open > 0 {
		tallies = append(tallies, tally{fmt.Sprint(open), text.Noun(open, "arm") + " not checked", "#scenarios", "mid"})
	}
	counts := map[string]int{}
	for _, c := range v.Claims {
		counts[c.Verdict]++
	}
	for _, verdict := range []string{result.Confirmed, result.Conditional, result.Refuted} {
		if n := counts[verdict]; n > 0 {
			tallies = append(tallies, tally{fmt.Sprint(n), text.Noun(n, "claim") + " " + verdict, "#claims",
				claimChip(verdict).Tone})
		}
	}
	return tallies
}
