package harness_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lockjam/lockjam/"

// allowed says which of our packages each of our packages may import. Imports
// go one way: what records knows nothing of what judges, and what judges knows
// nothing of what reports.
var allowed = map[string][]string{
	"scenarios":         {},
	"harness/faults":    {},
	"harness/history":   {},
	"harness/resp":      {},
	"harness/machine":   {},
	"harness/server":    {"harness/machine", "harness/resp"},
	"harness/waitgraph": {},
	"harness/swarm":     {"harness/history", "harness/machine", "harness/resp"},
	"harness/watch":     {"harness/history", "harness/server"},
	"harness/signals":   {"harness/history"},
	"harness/remedies":  {"harness/resp", "harness/server", "harness/swarm"},
	"harness/triggers":  {"harness/faults", "harness/server", "harness/swarm"},
	"harness/scenario":  {"harness/server", "harness/signals", "harness/swarm", "harness/triggers", "scenarios"},
	"harness":           {"harness/faults", "harness/history", "harness/machine", "harness/server", "harness/waitgraph", "harness/swarm", "harness/watch", "harness/signals", "harness/remedies", "harness/triggers", "harness/scenario"},
	"harness/compare":   {"harness", "harness/history"},
	"harness/metrics":   {"harness", "harness/history"},
	"harness/report":    {"harness", "harness/compare", "harness/history", "harness/remedies", "harness/scenario", "harness/signals", "harness/triggers"},
	"harness/rules":     {"harness"},
	"harness/schema":    {"harness", "harness/remedies", "harness/scenario", "harness/server", "harness/signals", "harness/triggers", "scenarios"},
	"cmd/lockjam":       {"harness", "harness/history", "harness/machine", "harness/server", "harness/server/container", "harness/swarm", "harness/signals", "harness/remedies", "harness/triggers", "harness/scenario", "harness/compare", "harness/metrics", "harness/report", "harness/rules", "harness/waitgraph", "scenarios"},

	"harness/server/node":      {"harness/resp", "harness/server"},
	"harness/server/process":   {"harness/server", "harness/server/node"},
	"harness/server/container": {"harness/server", "harness/server/node", "harness/server/process"},
}

func TestImportsGoOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		pkg := strings.TrimPrefix(path, module)
		may, known := allowed[pkg]
		if !known {
			t.Errorf("package %s has no place in the house: say in this test what it may import", pkg)
		}
		for _, imported := range strings.Fields(imports) {
			ours, isOurs := strings.CutPrefix(imported, module)
			if isOurs && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, which it must not", pkg, ours)
			}
			if strings.HasPrefix(imported, "github.com/moby/") && pkg != "harness/server/container" {
				t.Errorf("%s imports %s: only harness/server/container depends on Docker", pkg, imported)
			}
			if imported == "testing" {
				t.Errorf("%s imports testing outside of tests", pkg)
			}
		}
	}
}
