package chart

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// element is one of an SVG's, with its own text.
type element struct {
	name string
	attr map[string]string
	text string
}

// elements reads an SVG as XML, strictly.
func elements(t *testing.T, f Figure) []element {
	t.Helper()
	var all []element
	var open []int
	d := xml.NewDecoder(strings.NewReader(string(f.SVG)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v\n%s", f.ID, err, f.SVG)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := element{name: x.Name.Local, attr: map[string]string{}}
			for _, a := range x.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(x)
			}
		}
	}
}

// texts are what stands in a chart.
func texts(all []element) []string {
	var out []string
	for _, e := range all {
		if e.name == "text" {
			out = append(out, e.text)
		}
	}
	return out
}

// chartsOfAll are the charts of an arm with one of everything.
func chartsOfAll(t *testing.T) map[string]Figure {
	h, a := incident()
	return charted(t, h, a)
}

// incident is an arm with one of everything.
func incident() (history.History, result.Arm) {
	var h history.History
	for at := 10 * ms; at < 1000*ms; at += 10 * ms {
		h.Ops = append(h.Ops, ended(at, history.OK))
	}
	for at := 2010 * ms; at < 3000*ms; at += 20 * ms {
		h.Ops = append(h.Ops, ended(at, history.OK))
	}
	h.Ops = append(h.Ops, ended(3000*ms, history.Unknown), ended(3000*ms, history.Unknown))
	for at := time.Duration(0); at < 3000*ms; at += 100 * ms {
		s := answered(at, "a", 30, 32, int64(at/ms))
		if at > 2100*ms && at < 2500*ms {
			s.Server = nil
		}
		h.Samples = append(h.Samples, s)
	}
	h.Marks = []history.Mark{
		{At: 1000 * ms, Kind: history.TriggerMark, Name: "surge"},
		{At: 2000 * ms, Kind: history.RemedyMark, Name: history.Begun, Detail: "kill-clients"},
		{At: 2010 * ms, Kind: history.StepMark, Name: "CLIENT KILL TYPE normal", Detail: "64"},
		{At: 2600 * ms, Kind: history.RemedyMark, Name: history.Applied, Detail: "kill-clients"},
	}
	a := result.Arm{Phases: phasesOf(1000, 2000, 3000), Signals: []result.Signal{
		{Name: "deadlock", Fired: true, DetectMS: sample.Num(800)},
		{Name: "client-saturation", Fired: true, DetectMS: sample.Num(90)},
		{Name: "lock-key-count"},
	}}
	a.Phases[0].GoodputPerS = 100
	return h, a
}

func charted(t *testing.T, h history.History, a result.Arm) map[string]Figure {
	t.Helper()
	folder, at := recorded(t, h)
	a.Folder = at.Folder
	all, err := FiguresOf(folder, a)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Figure{}
	for _, f := range all {
		by[f.ID] = f
	}
	return by
}

func TestChartsShowWhatHappenedWhen(t *testing.T) {
	charts := chartsOfAll(t)
	for id, want := range map[string][]string{
		"goodput": {"baseline", "incident", "recovery", "trigger: surge", "kill-clients", "applied",
			"baseline 100/s", "signals", "client-saturation", "deadlock"},
		"clients": {"baseline", "incident", "recovery", "trigger: surge", "kill-clients", "applied", "maxclients 32",
			"no answer"},
		"rejections": {"baseline", "incident", "recovery", "trigger: surge", "kill-clients", "applied"},
		"response": {"baseline (99)", "incident: none", "recovery (50)", "50%", "99.9%", "max",
			"2 unfinished operations not plotted"},
	} {
		got := texts(elements(t, charts[id]))
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s does not say %q: %q", id, w, got)
			}
		}
	}
	for id, want := range map[string]string{
		"goodput":    "100 in the baseline, 10 in the incident, 10 in the recovery. The trigger was at 1.00 s. The remedy was begun at 2.00 s. The remedy was applied at 2.60 s. Signals that fired: client-saturation at 1.09 s, deadlock at 1.80 s.",
		"clients":    "The server did not answer 3 of 30 times.",
		"rejections": "2900 in all, at most 1000 per second.",
		"response":   "2 unfinished operations not plotted",
	} {
		if !strings.Contains(charts[id].Alt, want) {
			t.Errorf("%s: %q, want %q", id, charts[id].Alt, want)
		}
	}
}

// start is the first place of a path.
func start(t *testing.T, all []element, class string) float64 {
	t.Helper()
	for _, e := range all {
		if e.attr["class"] == class {
			x, _, _ := strings.Cut(strings.TrimPrefix(e.attr["d"], "M"), " ")
			v, err := strconv.ParseFloat(x, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no path of class %q", class)
	return 0
}

func TestPhasesAreWhereTheyWere(t *testing.T) {
	for id, f := range chartsOfAll(t) {
		if f.Hover == nil {
			continue
		}
		all := elements(t, f)
		left, right := float64(f.Hover.Left), float64(f.Hover.Right)
		for class, share := range map[string]float64{"f baseline": 0, "f incident": 1. / 3, "f recovery": 2. / 3,
			"s trigger": 1. / 3, "s remedy": 2. / 3} {
			if got, want := start(t, all, class), left+share*(right-left); math.Abs(got-want) > 0.11 {
				t.Errorf("%s: %s at %.1f, want %.1f", id, class, got, want)
			}
		}
		if left != float64(leftMargin) || f.Hover.ToMS != 3000 {
			t.Errorf("%s: from %v to %v ms", id, left, f.Hover.ToMS)
		}
	}
}

func TestHolesAreHoles(t *testing.T) {
	f := chartsOfAll(t)["clients"]
	for _, e := range elements(t, f) {
		if e.attr["class"] == "s clients" && strings.Count(e.attr["d"], "M") != 2 {
			t.Errorf("one line before the silence and one after it: %s", e.attr["d"])
		}
	}
	b, err := json.Marshal(f.Hover)
	if err != nil || !strings.Contains(string(b),
		`"ys":[30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,30,null,null,null,30,`) {
		t.Errorf("%v: %s", err, b)
	}
}

// An arm without a trigger and one without a remedy have charts without them.
func TestWhatDidNotHappenIsNotMarked(t *testing.T) {
	h, a := incident()
	h.Marks = []history.Mark{{At: 2000 * ms, Kind: history.RemedyMark, Name: history.Applied, Detail: "none"}}
	a.Signals = a.Signals[:1]
	f := charted(t, h, a)["goodput"]
	for _, e := range elements(t, f) {
		if strings.Contains(e.attr["class"], "trigger") || strings.Contains(e.attr["class"], "remedy") {
			t.Errorf("marked: %v", e)
		}
	}
	// As in the judge, time to detect counts from the incident then.
	if !strings.Contains(f.Alt, "deadlock at 1.80 s") || strings.Contains(f.Alt, "rigger") {
		t.Error(f.Alt)
	}
	a.Signals, h.Samples, h.Ops = nil, nil, nil
	charts := charted(t, h, a)
	if len(charts) != 2 || slices.Contains(texts(elements(t, charts["goodput"])), "signals") {
		t.Errorf("without signals, samples and operations: %d charts", len(charts))
	}
}

const hostile = "</text></svg><script>alert(1)</script>&\"'\x00\x1b[2J\u0085\ufffe\xff"

func TestTextOfFilesIsOnlyText(t *testing.T) {
	h, a := incident()
	for i := range h.Marks {
		if h.Marks[i].Kind != history.RemedyMark {
			h.Marks[i].Name = hostile
		}
		h.Marks[i].Detail = hostile
	}
	for i := range a.Signals {
		a.Signals[i].Name = hostile
	}
	a.Phases = append(a.Phases, result.Phase{Name: hostile, StartMS: 0, EndMS: 3000})
	for id, f := range charted(t, h, a) {
		for _, e := range elements(t, f) {
			if !slices.Contains([]string{"svg", "path", "text", "title"}, e.name) {
				t.Errorf("%s has an element %q", id, e.name)
			}
			for name := range e.attr {
				if strings.HasPrefix(name, "on") || name == "href" || name == "style" {
					t.Errorf("%s has an attribute %q", id, name)
				}
			}
		}
		if i := strings.IndexFunc(string(f.SVG),
			func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("%s has control characters: %q", id, f.SVG[max(i-20, 0):i+2])
		}
	}
}

func TestManyStepsTakeLittleRoom(t *testing.T) {
	h, a := incident()
	for i := range 10_000 {
		// 9 MB, which a recorder holds for the slowest disk
		h.Marks = append(h.Marks, history.Mark{At: 2700*ms + time.Duration(i)*time.Microsecond, Kind: history.StepMark,
			Name: strings.Repeat("DEL lock ", 100)})
	}
	f := charted(t, h, a)["goodput"]
	if len(f.SVG) > 10<<10 || !strings.Contains(f.Alt, "of its steps are not marked") {
		t.Errorf("%d bytes; %s", len(f.SVG), f.Alt)
	}
}

// drawn is an arm of the recorded run with its charts.
type drawn struct {
	result.Arm
	series *series
	charts []Figure
}

// reference draws the recorded run once for all tests.
var reference = sync.OnceValues(func() ([]drawn, error) {
	const folder = "../../testdata/golden"
	r, err := rundir.Load(folder)
	if err != nil {
		return nil, err
	}
	var all []drawn
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			s, err := readSeries(folder, a)
			if err != nil {
				return nil, err
			}
			all = append(all, drawn{a, s, s.figures(a)})
		}
	}
	return all, nil
})

func mustDraw(t *testing.T) []drawn {
	t.Helper()
	all, err := reference()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d arms and %v", len(all), err)
	}
	return all
}

// The charts and the tables of a report are of the same operations.
func TestChartsAgreeWithTheJudge(t *testing.T) {
	for _, a := range mustDraw(t) {
		for _, p := range a.series.phases {
			i := slices.IndexFunc(a.Phases, func(q result.Phase) bool { return q.Name == p.name })
			if p.response == nil {
				continue
			}
			judged := a.Phases[i]
			if got := (result.Operations{OK: p.response.TotalCount(), Fail: p.failed,
				Unknown: p.hung}); got != judged.Operations {
				t.Errorf("%s, %s: %+v, and the judge has %+v", a.Folder, p.name, got, judged.Operations)
			}
			got := result.Percentiles{}
			if p.response.TotalCount() > 0 {
				got = result.Percentiles{P50: p.at(percentiles[0]), P99: p.at(percentiles[5]),
					Max: p.at(percentiles[9])}
			}
			if got != judged.ResponseMS {
				t.Errorf("%s, %s: %+v, and the judge has %+v", a.Folder, p.name, got, judged.ResponseMS)
			}
		}
	}
}

func TestChartsAreSmallAndLegible(t *testing.T) {
	for _, a := range mustDraw(t) {
		if len(a.charts) != 4 {
			t.Errorf("%s has %d charts", a.Folder, len(a.charts))
		}
		for _, f := range a.charts {
			if len(f.SVG) > 10<<10 {
				t.Errorf("%s, %s: %d bytes", a.Folder, f.ID, len(f.SVG))
			}
			if problem := crowded(elements(t, f)); problem != "" {
				t.Errorf("%s, %s: %s", a.Folder, f.ID, problem)
			}
		}
	}
}

// crowded says which text overlaps another one or leaves the chart, as wide as it is
// in Liberation Sans, which is as wide as Arial and Helvetica.
func crowded(all []element) string {
	type box struct{ left, right, top, bottom float64 }
	var boxes []box
	var said []string
	style := text.Style{Font: sans, Handler: text.Plain{Fonts: font.DefaultCache}}
	for _, e := range all {
		if e.name != "text" {
			continue
		}
		x, _ := strconv.ParseFloat(e.attr["x"], 64)
		y, _ := strconv.ParseFloat(e.attr["y"], 64)
		width := float64(style.Width(e.text))
		switch {
		case strings.HasSuffix(e.attr["class"], " m"):
			x -= width / 2
		case strings.HasSuffix(e.attr["class"], " e"):
			x -= width
		}
		b := box{x, x + width, y - 7, y + 1}
		if b.left < 0 || b.right > float64(chartWidth) || b.top < 0 {
			return fmt.Sprintf("%q leaves the chart", e.text)
		}
		for i, o := range boxes {
			if b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom {
				return fmt.Sprintf("%q overlaps %q", e.text, said[i])
			}
		}
		boxes, said = append(boxes, b), append(said, e.text)
	}
	return ""
}
