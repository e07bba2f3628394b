package markdown

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// A cell holds every arm of its scenario and column, and says of each what an
// engineer would want to know of it.
func TestMatrices(t *testing.T) {
	back := 1200.0
	arm := func(name, remedy string, v result.Verdict) result.Arm {
		return result.Arm{Name: name, Remedy: remedy, Repeat: 1, Reproduced: sample.Yes(), Verdict: v}
	}
	cured := arm("raise-maxclients-live", "raise-maxclients-live", result.Cured)
	cured.Recovery = &result.Recovery{Ratio: 1.02, Low: 0.97, High: 1.08, RestoredAfterMS: &back}
	harmful := arm("release-stale-locks-reserved", "release-stale-locks", result.Relapsed)
	harmful.Unsafe, harmful.Safety.Overlaps = true, 4
	prevention := func(name, claim string, v result.Verdict) result.Arm {
		return result.Arm{Name: name, Remedy: "none", Prevention: name, Claim: claim, Repeat: 1, Verdict: v}
	}
	r := &result.Run{
		Claims: []result.Claim{{ID: "P1"}, {ID: "P2"}},
		Scenarios: []result.Scenario{
			{Name: "x", Arms: []result.Arm{
				arm("control", "none", result.NoEffect),
				arm("release-stale-locks", "release-stale-locks", result.Blocked), harmful, cured,
				prevention("backoff", "P1", result.NotPrevented), prevention("script", "", result.Prevented),
			}},
			{Name: "quiet", Arms: []result.Arm{{Name: "control", Remedy: "none", Repeat: 1}}},
			{Name: "y", Arms: []result.Arm{arm("control", "none", result.NoEffect)}},
		},
	}
	matrices := view.Of(r).Matrices
	for _, c := range []struct {
		m       view.Matrix
		columns []string
		lines   [][]string
	}{
		{matrices[0], []string{"none", "raise-maxclients-live", "release-stale-locks"}, [][]string{
			{"x", "no-effect", "cured, 102% (97-108), after 1.2 s", "blocked; reserved: relapsed, UNSAFE, 4 violations"},
			{"y", "no-effect", "-", "-"},
		}},
		{matrices[1], []string{"P1", view.Beyond},
			[][]string{{"x", "backoff: not-prevented", "script: prevented, -"}}},
	} {
		if !slices.Equal(c.m.Columns, c.columns) || len(c.m.Lines) != len(c.lines) {
			t.Fatalf("%+v", c.m)
		}
		for i, want := range c.lines {
			if got := append([]string{c.m.Lines[i].Scenario}, c.m.Lines[i].Cells...); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
}

// The README shows the matrices of the reference run. -update writes them anew.
func TestReadmeShowsTheReference(t *testing.T) {
	const path = "../../../README.md"
	r, err := rundir.Load("../../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	made := string(there)
	for _, m := range view.Of(r).Matrices {
		name := string(m.By)
		var b bytes.Buffer
		b.WriteString("\n\n") // a table begins after an empty line
		table(&b, append([]string{"scenario"}, m.Columns...)...)
		for _, l := range m.Lines {
			table(&b, append([]string{l.Scenario}, l.Cells...)...)
		}
		head, rest, ok := strings.Cut(made, "<!-- "+name+" -->\n")
		_, tail, ended := strings.Cut(rest, "<!-- end -->\n")
		if !ok || !ended {
			t.Fatalf("README has no place for the %s", name)
		}
		made = head + "<!-- " + name + " -->\n" + strings.TrimPrefix(b.String(), "\n") + "\n<!-- end -->\n" + tail
	}
	if *update {
		if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if made != string(there) {
		t.Error("the README does not show what results/reference says: run `go test ./harness/report/markdown -run Readme -update`")
	}
}
