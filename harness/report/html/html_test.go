package html

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/text"
)

// pageOf is a run's page as a browser reads it, and as it was written.
func pageOf(t *testing.T, r *result.Run) (*html.Node, string) {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return root, b.String()
}

// textOf is what a page says, spaces taken together.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" && d.Parent.Data != "style" {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestPageOpensWithTheAnswer(t *testing.T) {
	root, _ := pageOf(t, sample.Run())
	got := textOf(root)
	at := 0
	for _, want := range []string{
		"lockjam run 20260504-030201-beef ✕ fail 2 of 3 arms as expected 1 claim conditional",
		"What did not pass ✕ fail slot-lock-deadlock / restart : remedy restart-server was expected to be cured and was relapsed",
		"What works", "slot-lock-deadlock", "✕ no-effect", "cured ⚠ UNSAFE 100%, after 0.8 s, 6 violations",
		"A1 Connected clients > 80% ◐ conditional It fires here. → instead Watch goodput. 2 figures slot-lock-deadlock/control detect ms 120 healthy/control",
		"Untested by this run: P1.",
		"cured, at the price of safety, by raise ; briefly recovered after restart",
		"201/s → 0/s → 213/s · 100% of the baseline · back after 0.8 s · 6 safety violations as expected: yes",
		"Unsafe: 4 double grants, 2 lost updates.",
		"No charts: the run's folder is not there.",
		"client-saturation A1 fire ● yes 80 ms yes 0 ✓ yes connected max 31, ratio max 0.97",
		"lock-key-count D1 any not available: the user may not run SCAN: NOPERM",
		"What the remedy did at did answer 3.1 s CONFIG GET maxclients 10000",
		"double grants 4 lost updates 2",
		"What it ran on", "took 60 s, from 2026-05-04 03:02:01 UTC",
	} {
		i := strings.Index(got[at:], want)
		if i < 0 {
			t.Fatalf("no %q after %q in\n%s", want, got[max(0, at-80):at], got)
		}
		at += i
	}
}

// Whatever a run says of itself is text: it makes no element, no attribute and no link
// out of the page, and its folders are not looked for outside of its own.
func TestPageIsHostileProof(t *testing.T) {
	plainRoot, _ := pageOf(t, hostileRun(t, "text"))
	for _, evil := range []string{
		`<script>alert(1)</script>`, `</script><img src=x onerror=alert(1)>`, `" onmouseover="alert(1)`,
		`javascript:alert(1)`,
		`</style><style>*{display:none}`, `<!--`, "]]>", `{{.}}`, "\x1b[31m\x00\u202egnp", `'"&lt;`,
		"../../../etc/passwd", "`x`",
	} {
		root, shown := pageOf(t, hostileRun(t, evil))
		if got, want := shape(root), shape(plainRoot); got != want && evil != "`x`" { // backticks tell names from words
			t.Errorf("%q changes the page's elements:\n%s\nwant\n%s", evil, got, want)
		}
		if text.Printable(shown) != shown {
			t.Errorf("%q: what nobody sees is in the page", evil)
		}
		for n := range root.Descendants() {
			for _, a := range n.Attr {
				if a.Key == "href" && !inside(a.Val) || a.Key == "src" || strings.HasPrefix(a.Key, "on") ||
					a.Key == "style" {
					t.Errorf("%q: <%s %s=%q>", evil, n.Data, a.Key, a.Val)
				}
			}
		}
	}
}

// inside reports whether a link stays in the page or in its folder.
func inside(href string) bool {
	if strings.HasPrefix(href, "#") {
		return true
	}
	u, err := url.Parse(href)
	return err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(href, "./") &&
		filepath.IsLocal(path.Clean(u.Path))
}

// shape is a page's elements with the names of their attributes.
func shape(root *html.Node) string {
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		b.WriteString(n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// hostileRun is a run in which everything that may be said says evil. It lies in a folder
// with a file beside it that must not be read.
func hostileRun(t *testing.T, evil string) *result.Run {
	t.Helper()
	r := sample.Run()
	out := t.TempDir()
	r.Folder = filepath.Join(out, "run")
	for _, folder := range []string{"run/" + slug(evil), "etc"} {
		if err := os.MkdirAll(filepath.Join(out, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"etc/" + rundir.EnvironmentFile, "etc/" + rundir.HistoryFile,
		"run/" + slug(evil) + "/" + rundir.LogFile} {
		if err := os.WriteFile(filepath.Join(out, file), []byte(`{"server":{"version":"SECRET"}}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(out, "etc"), filepath.Join(r.Folder, "link")); err != nil {
		t.Fatal(err)
	}
	r.ID, r.Because, r.Status = evil, evil, result.Aborted
	sc := &r.Scenarios[0]
	sc.Name, sc.Title = evil, evil
	folders := []string{"../etc", "link", slug(evil)}
	for i := range sc.Arms {
		a := &sc.Arms[i]
		a.Name, a.Because, a.Why, a.Reasons = evil+string(rune('a'+i)), evil, evil, []string{evil}
		a.Folder = folders[i]
		a.Prevention, a.Claim = evil, evil
		a.Steps = []result.Step{{Did: evil, Answer: evil}}
		a.Probes = []result.Probe{{Did: evil, Because: evil}}
		a.Signals[0].Name, a.Signals[0].Unavailable, a.Signals[0].Expected = evil, evil, evil
		a.Credit = &result.Credit{Because: evil}
		a.Deadlock = &result.Deadlock{Sentence: evil, Kind: evil, Graph: "flowchart LR\n\tn0([\"" +
			strings.ReplaceAll(evil, `"`, "#quot;") + "\"])\n"}
		a.Phases = []result.Phase{{Name: evil, Classes: map[string]int64{evil: 1}}}
	}
	c := &r.Claims[0]
	c.Words, c.Because, c.Instead, c.Evidence[0].Scenario, c.Evidence[0].Value = evil, evil, evil, evil, evil
	r.Environment.Server.Version, r.Environment.Server.Image, r.Environment.Go = evil, evil, evil
	return r
}

func TestPageReadsNothingOutsideOfItsFolder(t *testing.T) {
	root, text := pageOf(t, hostileRun(t, "text"))
	if strings.Contains(text, "SECRET") {
		t.Error("a file outside of the run's folder was read")
	}
	for _, want := range []string{"No charts: the arm's folder is not within the run's.",
		"No charts: history.ndjson.zst is not there."} {
		if !strings.Contains(textOf(root), want) {
			t.Errorf("no %q", want)
		}
	}
	if !strings.Contains(text, `href="./text/server.log"`) {
		t.Error("no link to the log that is there")
	}
}

// What the policy lets pass is what is in the page, and nothing else.
func TestPolicyKnowsItsOwn(t *testing.T) {
	_, page := pageOf(t, sample.Run())
	for _, tag := range []string{"style", "script"} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(m) != 1 || !strings.Contains(policy(pageStyle, pageScript), tag+"-src '"+sourceHash(m[0][1])+"'") {
			t.Errorf("%d elements <%s>, and the policy does not know them", len(m), tag)
		}
	}
	if own := pageStyle + pageScript + compareCSS; text.Printable(own) != own {
		t.Error("something in the style or the script is replaced, and its hash is wrong")
	}
}

// A run that was cut short says so, and what is missing.
func TestPageOfAPart(t *testing.T) {
	r := sample.Run()
	r.Folder = t.TempDir()
	r.Status, r.Because, r.Outcome = result.Interrupted, "SIGINT", result.Inconclusive
	for _, arm := range []string{"slot-lock-deadlock/control", "slot-lock-deadlock/rollout",
		"slot-lock-deadlock/rollout.attempt-1"} {
		folder := filepath.Join(r.Folder, arm)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, rundir.HistoryFile), []byte("cut"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := &r.Scenarios[0].Arms[0]
	a.Folder, a.Truncated = "slot-lock-deadlock/control", true
	root, _ := pageOf(t, r)
	got := textOf(root)
	for _, want := range []string{
		"The run was interrupted. What follows is what had been recorded until then. SIGINT",
		"Recorded, and not judged: slot-lock-deadlock/rollout .",
		"Missing: The history ends in the middle",
		"Server: not known: environment.json is not there.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "No charts: "); n != 3 {
		t.Errorf("%d of 3 arms say why they have no charts", n)
	}
}

func TestPageFoldsRepeats(t *testing.T) {
	r := sample.Run()
	r.Repeat = 3
	arm := r.Scenarios[0].Arms[0]
	again, odd := arm, arm
	again.Repeat, odd.Repeat, odd.Verdict, odd.Outcome = 2, 3, result.Relapsed, result.Fail
	r.Scenarios[0].Arms = []result.Arm{arm, again, odd}
	root, text := pageOf(t, r)
	got := textOf(root)
	for _, want := range []string{"✕ no-effect 2/3 ↻ relapsed 1/3", "Charts of repeat 1", "Charts of repeat 3",
		"● 3 of 3 120 ms", "Verdicts that differ between 3 repeats slot-lock-deadlock / control : no-effect 2/3, relapsed 1/3"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(text, "<details class=\"arm"); n != 1 || strings.Contains(got, "Charts of repeat 2") {
		t.Errorf("%d arms", n)
	}
}

func TestPageOfSeveralImages(t *testing.T) {
	root, _ := pageOf(t, sample.OnTwo())
	got := textOf(root)
	for _, want := range []string{
		"scenario arm redis:6 valkey:9 differs slot-lock-deadlock control",
		"On redis:6: cured, at the price of safety, by raise",
		"raise on valkey:9 ✕ no-effect", "✓ confirmed", "on redis:6 slot-lock-deadlock/control on redis:6",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestGraphIsDrawn(t *testing.T) {
	const drawing = "flowchart LR\n\tn0([\"29 #lt;b#gt; workers\"])\n\tn1[\"lock lock:{a-very-long-name-of-a-tenant}:7\"]\n\tn0 -.->|\"29 wait\"| n1\n\tn1 -->|\"held by\"| n0\n"
	g, err := parseGraph(drawing)
	if err != nil {
		t.Fatal(err)
	}
	svg := string(g.svg(`"title"`))
	for _, want := range []string{
		`aria-label="&#34;title&#34;"`, ">29 &lt;b&gt; workers</text>",
		"<title>lock lock:{a-very-long-name-of-a-tenant}:7</title>", ">lock lock:{a-…f-a-tenant}:7</text>",
		`class="waits"`, `class="holds"`, ">29 wait</text>", ">held by</text>",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in %s", want, svg)
		}
	}
	for drawing, want := range map[string]string{
		"graph TD":                          "line 1",
		"flowchart LR\n\tn0 -->|\"x\"| n1":  "joins what is not in it",
		"flowchart LR":                      "0 nodes",
		strings.Repeat("x", int(maxText)+1): "longer than",
		"flowchart LR\n" + strings.Repeat("\tn0[\"x\"]\n", maxGraph+1): "nodes",
	} {
		if _, err := parseGraph(drawing); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", drawing, err, want)
		}
	}
}

// Every drawing of the recorded run can be read.
func TestReferenceGraphsAreDrawn(t *testing.T) {
	r, err := rundir.Load("../../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	drawn := 0
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if a.Deadlock == nil || a.Deadlock.Graph == "" {
				continue
			}
			if _, err := parseGraph(a.Deadlock.Graph); err != nil {
				t.Errorf("%s: %v", a.Folder, err)
			}
			drawn++
		}
	}
	if drawn < 40 {
		t.Errorf("%d drawings", drawn)
	}
}

// maxPage bounds the page of the whole catalogue, in bytes.
const maxPage = 5 << 20

// BenchmarkHTML makes the page of the whole catalogue, charts and all.
func BenchmarkHTML(b *testing.B) {
	r, err := rundir.Load("../../../results/reference")
	if err != nil {
		b.Fatal(err)
	}
	size := counter(0)
	for b.Loop() {
		size = 0
		if err := Write(&size, view.Of(r)); err != nil {
			b.Fatal(err)
		}
	}
	if size > maxPage {
		b.Error(fmt.Sprint("the page has ", size, " bytes"))
	}
	b.ReportMetric(float64(size), "page-bytes")
}

type counter int

var _ io.Writer = (*counter)(nil)

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
