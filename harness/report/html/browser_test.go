package html

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/report/chart"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// browserEndsWithin bounds everything that a test does in a browser.
const browserEndsWithin = 2 * time.Minute

// tab is a page that is open in Chromium, and what it has said and asked for.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	said     []string // errors and exceptions
	requests []string
}

// chromium starts a browser of its own, that ends with the test.
func chromium(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds, and -short is set")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium is on PATH: scripts/setup.sh --tests installs one")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 { // its sandbox does not work for root
		options = append(options, chromedp.NoSandbox)
	}
	bounded, stop := context.WithTimeout(context.Background(), browserEndsWithin)
	allocator, kill := chromedp.NewExecAllocator(bounded, options...)
	ctx, done := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // closes the browser and waits for its end
		done()
		kill()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return ctx
}

// open loads a file in a tab of its own; before is done first.
func open(t *testing.T, browser context.Context, file string, before ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	ctx, done := chromedp.NewContext(browser)
	t.Cleanup(done)
	p := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	p.do(append(before, chromedp.Navigate("file://"+file))...)
	return p
}

func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.said = append(p.said, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		p.said = append(p.said, fmt.Sprint("console: ", e.Type))
	case *log.EventEntryAdded:
		p.said = append(p.said, e.Entry.Text)
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// sent is a command of the protocol.
func sent[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

var withoutScript = sent(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})

// ask evaluates an expression.
func ask[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%.80s: %v", expression, err)
	}
	return value
}

// none reports each string of a list that an expression gives.
func (p *tab) none(what, expression string) {
	p.t.Helper()
	found := ask[[]string](p, expression)
	for i, one := range found {
		if i == 10 {
			p.t.Errorf("%s: and %d more", what, len(found)-i)
			break
		}
		p.t.Errorf("%s: %s", what, one)
	}
}

const openAll = `document.querySelectorAll('details').forEach(d => { d.open = true; }); new Promise(done => setTimeout(done, 0)).then(() => true)`

func (p *tab) openAll() {
	p.t.Helper()
	ask[bool](p, openAll)
}

// goldenRun is the golden run, with an arm more that did not pass.
func goldenRun(t *testing.T) *result.Run {
	t.Helper()
	r, err := rundir.Load("../../testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	r.Outcome = result.Fail
	odd := &r.Scenarios[0].Arms[1]
	odd.Outcome, odd.Reasons = result.Fail,
		[]string{"remedy release-stale-locks was expected to be cured and was relapsed"}
	return r
}

// pageFile is where a run's page is.
func pageFile(t *testing.T, r *result.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPageInChromium(t *testing.T) {
	browser := chromium(t)
	r := goldenRun(t)
	file := pageFile(t, r)
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, string, *result.Run)
	}{
		{"asks for nothing and says nothing", pageIsQuiet},
		{"is whole without script", pageWithoutScript},
		{"is reached by keyboard", pageByKeyboard},
		{"sorts and filters", pageSortsAndFilters},
		{"shows values", pageShowsValues},
		{"fits a phone", pageFitsAPhone},
		{"has contrast", pageHasContrast},
		{"is accessible", pageIsAccessible},
		{"prints every arm", pagePrints},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, browser, file, r) })
	}
}

func pageIsQuiet(t *testing.T, browser context.Context, file string, _ *result.Run) {
	p := open(t, browser, file)
	p.openAll()
	buttons := ask[int](p, `(all => { all.forEach(b => b.click()); return all.length; })([...document.querySelectorAll('th button, input')])`)
	if buttons < 50 {
		t.Errorf("%d buttons and choices were there to press", buttons)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) > 0 {
		t.Errorf("it says %q", p.said)
	}
	if len(p.requests) != 1 || p.requests[0] != "file://"+file {
		t.Errorf("it asks for %q", p.requests)
	}
}

func pageWithoutScript(t *testing.T, browser context.Context, file string, r *result.Run) {
	p := open(t, browser, file, withoutScript)
	there := ask[struct {
		Arms, Charts, Tables, Graphs int
		Dead                         int // controls that do nothing without script
	}](p, `({Arms: document.querySelectorAll('details.arm').length, Charts: document.querySelectorAll('.plot svg').length,
		Tables: document.querySelectorAll('details.arm table').length, Graphs: document.querySelectorAll('svg.graph').length,
		Dead: [...document.querySelectorAll('button, input, [role=slider]')].filter(e => e.checkVisibility()).length})`)
	arms := len(view.Of(r).Rows)
	if there.Arms != arms || there.Charts < 3*arms || there.Tables < 3*arms || there.Graphs < 8 || there.Dead != 0 {
		t.Errorf("of %d arms: %+v", arms, there)
	}
}

// Every arm is a stop of the Tab key, and Enter opens it.
func pageByKeyboard(t *testing.T, browser context.Context, file string, r *result.Run) {
	p := open(t, browser, file)
	p.do(chromedp.KeyEvent(kb.Tab))
	if first := ask[string](p, `document.activeElement.className`); first != "skip" {
		t.Errorf("the first stop is %q, and no way past the contents", first)
	}
	want := map[string]bool{}
	for _, id := range ask[[]string](p, `[...document.querySelectorAll('details.arm')].map(d => d.id)`) {
		want[id] = true
	}
	if len(want) != len(view.Of(r).Rows) {
		t.Fatalf("%d arms, %d of them with an id of their own", len(view.Of(r).Rows), len(want))
	}
	const stops = 1500
	for range stops {
		p.do(chromedp.KeyEvent(kb.Tab))
		at := ask[struct {
			Arm     string
			Outline string
			End     bool
		}](p, `(e => ({Arm: e.matches('details.arm > summary') ? e.parentElement.id : '',
			Outline: getComputedStyle(e).outlineStyle, End: e === document.body}))(document.activeElement)`)
		delete(want, at.Arm)
		if at.End || len(want) == 0 {
			break
		}
		if at.Outline == "none" {
			t.Errorf("nobody sees that the focus is on %s",
				ask[string](p, `document.activeElement.outerHTML.slice(0, 200)`))
		}
	}
	if len(want) > 0 {
		t.Errorf("Tab does not come to %v", want)
	}
	before := ask[bool](p, `(d => { d.querySelector('summary').focus(); return d.open; })(document.querySelector('details.arm:not([open])'))`)
	p.do(chromedp.KeyEvent(kb.Enter))
	after := ask[bool](p, `document.activeElement.parentElement.open`)
	if before || !after {
		t.Errorf("open before Enter: %v, after: %v", before, after)
	}
}

func pageSortsAndFilters(t *testing.T, browser context.Context, file string, r *result.Run) {
	p := open(t, browser, file)
	p.openAll()
	const column = `(() => { const table = [...document.querySelectorAll('#slot-lock-deadlock--control table')].find(t => t.caption.textContent === 'Signals');
		const th = [...table.tHead.rows[0].cells].find(c => c.textContent === 'time to detect');
		th.querySelector('button').click();
		return {Sorted: th.ariaSort, Cells: [...table.tBodies[0].rows].map(r => r.cells[th.cellIndex].textContent)}; })()`
	for _, want := range []string{"ascending", "descending"} {
		got := ask[struct {
			Sorted string
			Cells  []string
		}](p, column)
		var detect []float64
		for _, c := range got.Cells {
			var v float64
			if _, err := fmt.Sscanf(c, "%f ms", &v); err == nil {
				detect = append(detect, v)
			}
		}
		if want == "descending" {
			slices.Reverse(detect)
		}
		if got.Sorted != want || len(detect) < 5 || !slices.IsSorted(detect) {
			t.Errorf("%s: %+v", want, got)
		}
	}
	odd, broken := 0, 0
	for _, one := range view.Of(r).Rows {
		if one.Repeats[0].Outcome != result.Pass {
			odd++
		}
		if one.Unsafe {
			broken++
		}
	}
	for choice, want := range map[string]int{"odd": odd, "unsafe": broken, "all": len(view.Of(r).Rows)} {
		shown := ask[int](p, fmt.Sprintf(`document.querySelector('input[value=%s]').click(), [...document.querySelectorAll('details.arm')].filter(d => d.checkVisibility()).length`, choice))
		if shown != want || want == 0 {
			t.Errorf("%s: %d arms are shown, want %d", choice, shown, want)
		}
	}
}

// What is shown under the cursor is what was recorded there.
func pageShowsValues(t *testing.T, browser context.Context, file string, r *result.Run) {
	figures, err := chart.FiguresOf(r.Folder, r.Scenarios[0].Arms[0])
	if err != nil {
		t.Fatal(err)
	}
	h := figures[0].Hover
	line := h.Lines[0]
	p := open(t, browser, file+"#slot-lock-deadlock--control")
	p.openAll()
	box := ask[struct{ X, Y, Width, Height float64 }](p,
		`(e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return {X: r.x, Y: r.y, Width: r.width, Height: r.height}; })(document.querySelector('#slot-lock-deadlock--control .probe'))`)
	const readout = `document.querySelector('#slot-lock-deadlock--control .readout').textContent`
	for _, i := range []int{len(line.Xs) / 5, len(line.Xs) / 2, len(line.Xs) - 2} {
		x := box.X + box.Width*(line.Xs[i]-float64(h.FromMS))/float64(h.ToMS-h.FromMS)
		p.do(chromedp.MouseEvent("mouseMoved", x, box.Y+box.Height/2))
		said := ask[string](p, readout)
		if want := fmt.Sprintf("%.2f s\n%s", line.Xs[i]/1000, value(line, i)); !strings.HasPrefix(said+"\n", want+
			"\n") {
			t.Errorf("%q, want %q", said, want)
		}
	}
	ask[bool](p, `document.querySelector('#slot-lock-deadlock--control .probe').focus(), true`)
	p.do(chromedp.KeyEvent(kb.Home), chromedp.KeyEvent(kb.ArrowRight))
	said := ask[string](p, `document.activeElement.getAttribute('aria-valuetext')`)
	if want := value(line, 1); !strings.Contains(said+",", " "+want+",") {
		t.Errorf("by keyboard: %q, want %q", said, want)
	}
}

// value is a line's value as the page says it.
func value(line chart.HoverLine, i int) string {
	unit := line.Unit
	if unit != "" && unit != "/s" {
		unit = " " + unit
	}
	format := "%s: %.0f%s"
	y := line.Ys[i]
	if y < 100 && y != float64(int(y)) {
		format = "%s: %.1f%s"
	}
	return fmt.Sprintf(format, line.Name, y, unit)
}

func pageFitsAPhone(t *testing.T, browser context.Context, file string, _ *result.Run) {
	fitsAPhone(t, browser, file)
}

func fitsAPhone(t *testing.T, browser context.Context, file string) {
	p := open(t, browser, file, chromedp.EmulateViewport(360, 740))
	p.openAll()
	if width := ask[int](p, `document.documentElement.scrollWidth`); width > 360 {
		p.none("wider than the phone",
			`[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > 361).map(e => e.outerHTML.slice(0, 120))`)
		t.Errorf("the page is %d wide", width)
	}
	p.none("scrolls, and cannot be scrolled by keyboard",
		`[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth && !(e.tabIndex === 0 && e.ariaLabel)).map(e => e.outerHTML.slice(0, 120))`)
}

// contrast lists the texts that stand out too little from what is behind them: less
// than 4.5 to 1, as WCAG 2.1 reckons it.
const contrast = `(() => {
	const colour = s => { const [r, g, b, a = 1] = s.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
	const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
	const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = e => { const chain = []; for (; e; e = e.parentElement) chain.push(colour(getComputedStyle(e).backgroundColor)); return chain.reduceRight((under, top) => over(top, under), [255, 255, 255, 1]); };
	const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
	const found = new Set(); let texts = 0;
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || e.closest('script, title') || !e.checkVisibility()) continue;
		texts++;
		const style = getComputedStyle(e), inChart = !!e.closest('svg');
		const grounds = [behind(e)];
		if (inChart && style.stroke !== 'none') grounds.push(colour(style.stroke));
		const text = colour(inChart ? style.fill : style.color);
		for (const ground of grounds) {
			const r = ratio(over(text, ground), ground);
			if (r < 4.5) found.add(r.toFixed(2) + ': ' + e.tagName + '.' + (e.className.baseVal ?? e.className) + ': ' + walk.currentNode.data.trim().slice(0, 40));
		}
	}
	return texts > 300 ? [...found] : ['only ' + texts + ' texts were looked at'];
})()`

func pageHasContrast(t *testing.T, browser context.Context, file string, _ *result.Run) {
	hasContrast(t, browser, file)
}

func hasContrast(t *testing.T, browser context.Context, file string) {
	for _, theme := range []string{"light", "dark"} {
		p := open(t, browser, file, sent(emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme",
				Value: theme}}}))
		p.openAll()
		p.none(theme, contrast)
		page := ask[string](p, `getComputedStyle(document.body).backgroundColor`)
		if dark := page != "rgb(255, 255, 255)"; dark != (theme == "dark") {
			t.Errorf("%s: the page is %s", theme, page)
		}
	}
}

// pageIsAccessible is a set of rules of our own, since none is to be had as a Go module:
// on the document, then on what assistive technology gets to see of it.
func pageIsAccessible(t *testing.T, browser context.Context, file string, _ *result.Run) {
	p := open(t, browser, file)
	p.openAll()
	for _, rule := range []struct{ what, broken string }{
		{"an id that is there twice", `(ids => ids.filter((id, i) => ids.indexOf(id) !== i))([...document.querySelectorAll('[id]')].map(e => e.id))`},
		{"a link to nowhere", `[...document.querySelectorAll('a')].filter(a => { const href = a.getAttribute('href'); return !href || href[0] === '#' && !document.getElementById(href.slice(1)); }).map(a => a.outerHTML)`},
		{"a reference to nowhere", `[...document.querySelectorAll('[aria-labelledby]')].map(e => e.getAttribute('aria-labelledby')).filter(id => !document.getElementById(id))`},
		{"a header without scope", `[...document.querySelectorAll('th')].filter(th => !['row', 'col'].includes(th.scope)).map(th => th.outerHTML)`},
		{"a table without caption", `[...document.querySelectorAll('table')].filter(t => !t.caption).map(t => t.outerHTML.slice(0, 120))`},
		{"a table whose lines differ in length",
			`[...document.querySelectorAll('table')].filter(t => new Set([...t.rows].map(r => r.cells.length)).size > 1).map(t => t.outerHTML.slice(0, 120))`},
		{"a control without a label", `[...document.querySelectorAll('input')].filter(i => !i.labels.length).map(i => i.outerHTML)`},
		{"a heading that skips a level",
			`(hs => hs.filter((h, i) => i && +h.tagName[1] > +hs[i - 1].tagName[1] + 1).map(h => h.outerHTML))([...document.querySelectorAll('h1, h2, h3, h4, h5')])`},
		{"landmarks", `['main', 'nav', 'h1', 'header', 'footer'].filter(s => document.querySelectorAll(s).length !== 1)`},
		{"a language and a title", `document.documentElement.lang === 'en' && document.title ? [] : ['none']`},
		{"text outside of landmarks", `[...document.body.children].filter(e => !e.matches('header, nav, main, footer, script, .skip')).map(e => e.outerHTML.slice(0, 120))`},
		{"a target that is too small to hit",
			`[...document.querySelectorAll('button, summary, input')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 12).map(e => e.outerHTML)`},
	} {
		p.none(rule.what, rule.broken)
	}
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		tree, err := cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err == nil {
			checkTree(t, tree.Nodes)
		}
		return err
	}))
}

// compared is the page of the reference run against itself with some of everything changed.
func compared(t *testing.T) []byte {
	t.Helper()
	rules, err := compare.ParseRules([]string{"verdict", "unsafe", "missing"})
	if err != nil {
		t.Fatal(err)
	}
	var sides [2]compare.Side
	for i := range sides {
		if sides[i], err = compare.Load("../../../results/reference"); err != nil {
			t.Fatal(err)
		}
	}
	r := sides[1].Run
	r.Status, r.Because, r.Environment.GoRedis = result.Interrupted, "killed", "v9.99.0"
	for i := range r.Scenarios {
		a := &r.Scenarios[i].Arms[0]
		switch i % 4 {
		case 0:
			a.Verdict = result.Cured
		case 1:
			a.Unsafe = !a.Unsafe
		case 2:
			a.Name = "gone"
		}
	}
	var b bytes.Buffer
	if err := Compare(&b, view.OfComparison(compare.Runs(sides[0], sides[1], rules))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The page of a comparison, which has no script, is looked at with the same eyes.
func TestComparisonInChromium(t *testing.T) {
	browser := chromium(t)
	file := filepath.Join(t.TempDir(), "compare.html")
	if err := os.WriteFile(file, compared(t), 0o600); err != nil {
		t.Fatal(err)
	}
	fitsAPhone(t, browser, file)
	hasContrast(t, browser, file)
	p := open(t, browser, file)
	p.openAll()
	for _, rule := range []struct{ what, broken string }{
		{"a header without scope", `[...document.querySelectorAll('th')].filter(th => !['row', 'col'].includes(th.scope)).map(th => th.outerHTML)`},
		{"a table whose lines differ in length",
			`[...document.querySelectorAll('table')].filter(t => new Set([...t.rows].map(r => r.cells.length)).size > 1).map(t => t.outerHTML.slice(0, 120))`},
		{"a region that is called as another",
			`(names => names.filter((n, i) => !n || names.indexOf(n) !== i))([...document.querySelectorAll('[role=region]')].map(e => e.ariaLabel))`},
		{"a heading that skips a level",
			`(hs => hs.filter((h, i) => i && +h.tagName[1] > +hs[i - 1].tagName[1] + 1).map(h => h.outerHTML))([...document.querySelectorAll('h1, h2, h3, h4, h5')])`},
		{"a table that cannot be scrolled by keyboard",
			`[...document.querySelectorAll('table')].filter(t => t.parentElement.tabIndex !== 0).map(t => t.outerHTML.slice(0, 120))`},
		{"text outside of main", `[...document.body.children].filter(e => !e.matches('main')).map(e => e.outerHTML.slice(0, 120))`},
	} {
		p.none(rule.what, rule.broken)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) > 0 || len(p.requests) != 1 {
		t.Errorf("it says %q and asks for %q", p.said, p.requests)
	}
}

// named are the roles that mean nothing without a name.
var named = []string{"link", "button", "radio", "slider", "image", "table", "heading", "navigation", "region",
	"DisclosureTriangle", "columnheader", "rowheader", "group", "RootWebArea"}

func checkTree(t *testing.T, nodes []*accessibility.Node) {
	t.Helper()
	seen := map[string]int{}
	for _, n := range nodes {
		if n.Ignored {
			continue
		}
		role, name := axText(n.Role), axText(n.Name)
		seen[role]++
		if slices.Contains(named, role) && strings.TrimSpace(name) == "" && role != "group" {
			t.Errorf("a %s without a name: node %d", role, n.BackendDOMNodeID)
		}
		for _, p := range n.Properties {
			if p.Name == accessibility.PropertyNameFocusable && axText(p.Value) == "true" &&
				strings.TrimSpace(name) == "" && role != "main" {
				t.Errorf("the focus comes to a %s without a name", role)
			}
		}
	}
	for _, role := range []string{"link", "button", "radio", "slider", "image", "table", "heading", "main",
		"navigation", "banner", "contentinfo"} {
		if seen[role] == 0 {
			t.Errorf("no %s is there; there are %v", role, seen)
		}
	}
}

func axText(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var said any
	if err := json.Unmarshal([]byte(v.Value), &said); err != nil {
		return err.Error()
	}
	return fmt.Sprint(said)
}

func pagePrints(t *testing.T, browser context.Context, file string, _ *result.Run) {
	p := open(t, browser, file, withoutScript,
		sent(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}))
	p.none("not on paper", `[...document.querySelectorAll('details.arm .body')].filter(e => !e.checkVisibility({contentVisibilityAuto: true}) || !e.getBoundingClientRect().height).map(e => e.parentElement.id)`)
	p.none("on paper, and of no use there",
		`[...document.querySelectorAll('nav, .filter, .skip')].filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))`)
}
