package html

import (
	"cmp"
	"fmt"
	"html/template"
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

	ID        string
	Outcome   chip
	Status    string // how it ended, where it did not complete
	Because   string
	Unjudged  []string // arms' folders
	Tallies   []tally
	Facts     []fact
	NotPassed []doubt
	Matrices  []grid
	Claims    grid
	Untested  string
	Signals   grid
	Quiet     string // false alarms in all
	Flapping  []doubt
	Repeat    int
	Scenarios []chapter
}

// chip is a verdict or an outcome: a symbol and a tone, neither of which says anything
// that the words do not.
type chip struct{ Mark, Words, Tone string }

type tally struct{ Number, Words, Href, Tone string }

type fact struct{ Name, Text string }

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
	run    *result.Run
	folder *runFolder
	used   map[string]bool // ids
	arms   map[armKey]string
}

type armKey struct{ scenario, arm, image string }

func newPage(r *result.Run) *htmlPage {
	b := &builder{run: r, folder: openRunFolder(r.Folder), used: map[string]bool{}, arms: map[armKey]string{}}
	defer b.folder.close()
	p := &htmlPage{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), Policy: policy(pageStyle, pageScript), // ours
		ID: r.ID, Outcome: outcomeChip(r.Outcome), Repeat: r.Repeat, Because: r.Because, Unjudged: b.folder.unjudged(r),
	}
	if r.Status != result.Completed {
		p.Status = cmp.Or(string(r.Status), "cut short")
	}
	p.Scenarios = b.chapters()
	p.Facts = b.facts()
	p.NotPassed = b.notPassed()
	p.Matrices = b.matrices()
	p.Claims, p.Untested = b.claims()
	p.Signals, p.Quiet = b.signals(), quiet(r)
	p.Flapping = b.flapping()
	p.Tallies = b.tallies(p)
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
	next := view.Rows(b.run)
	for _, sc := range b.run.Scenarios {
		s := chapter{ID: b.id("scenario", sc.Name), Name: sc.Name, Title: sc.Title, Chip: outcomeChip(result.Pass)}
		for _, short := range view.InShortOn(b.run, sc) {
			s.Short = append(s.Short, sentence{On: strings.ReplaceAll(strings.TrimPrefix(short.On, ", on "), "`", ""),
				Spans: spans(short.Said)})
		}
		n := len(view.Rows(&result.Run{Scenarios: []result.Scenario{sc}}))
		for _, one := range next[:n] {
			a := b.arm(one)
			s.Chip = worse(s.Chip, a.Outcome)
			s.Arms = append(s.Arms, a)
		}
		next = next[n:]
		drawn = append(drawn, s.Arms...)
		all = append(all, s)
	}
	b.drawAll(drawn)
	return all
}

// spans tells what stands between backticks from what does not. Names have none.
func spans(said string) []span {
	var all []span
	for i, part := range strings.Split(said, "`") {
		if part != "" {
			all = append(all, span{Text: part, Code: i%2 == 1})
		}
	}
	return all
}

func (b *builder) facts() []fact {
	e := b.run.Environment
	servers := e.Servers
	if len(servers) == 0 {
		servers = []result.Server{e.Server}
	}
	var all []fact
	for _, s := range servers {
		all = append(all, fact{"server", view.OfServer(s)})
	}
	all = append(all, fact{"client", "go-redis " + e.GoRedis}, fact{"lockjam", e.Lockjam + ", " + e.Go},
		fact{"machine", fmt.Sprintf("%s, %d cores", e.OS, e.CPUs)}, fact{"seed", fmt.Sprint(b.run.Seed)})
	began := b.run.Started.UTC().Format("2006-01-02 15:04:05 MST")
	if b.run.Finished == nil {
		return append(all, fact{"began", began})
	}
	return append(all, fact{"took", fmt.Sprintf("%.0f s, from %s", b.run.Finished.Sub(b.run.Started).Seconds(), began)})
}

func (b *builder) notPassed() []doubt {
	var all []doubt
	for _, sc := range b.run.Scenarios {
		for _, a := range sc.Arms {
			if a.Outcome == result.Pass {
				continue
			}
			why := strings.Join(a.Reasons, "; ")
			all = append(all, doubt{Chip: outcomeChip(a.Outcome),
				Arm: b.armLink(sc.Name, a.Name, a.Image, sc.Name+" / "+a.Name+view.On(a.Image)),
				Why: cmp.Or(why, "no reason is recorded"), RepeatOne: view.RepeatOf(a, b.run)})
		}
	}
	return all
}

// flapping lists the arms whose verdict differs between repeats.
func (b *builder) flapping() []doubt {
	var all []doubt
	for _, one := range view.Rows(b.run) {
		if view.Distinct(one) > 1 {
			all = append(all, doubt{Arm: b.armLink(one.Scenario, one.Arm, one.Image, one.Scenario+" / "+one.Name()),
				Why: one.Verdict()})
		}
	}
	return all
}

func (b *builder) tallies(p *htmlPage) []tally {
	met, all, open, failed := 0, 0, 0, false
	for _, sc := range b.run.Scenarios {
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
	for _, c := range b.run.Claims {
		counts[c.Verdict]++
	}
	for _, v := range []struct{ verdict, tone string }{{result.Confirmed, "good"}, {result.Conditional, "mid"},
		{result.Refuted, "poor"}} {
		if n := counts[v.verdict]; n > 0 {
			tallies = append(tallies, tally{fmt.Sprint(n), text.Noun(n, "claim") + " " + v.verdict, "#claims", v.tone})
		}
	}
	return tallies
}
