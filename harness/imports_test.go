package harness_test

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lockjam/lockjam/"

// house lists our packages from the ground up: each may import those above it in this
// list, and none below. A folder and its subfolders share a line's place.
var house = []string{
	"scenarios",
	"harness/text",
	"harness/machine",
	"harness/resp",
	"harness/history",
	"harness/result",
	"harness/stats",
	"harness/waitgraph",
	"harness/faults",
	"harness/server",
	"harness/swarm",
	"harness/sampler",
	"harness/signals",
	"harness/triggers",
	"harness/remedies",
	"harness/claims",
	"harness/scenario",
	"harness/standstill",
	"harness/judge",
	"harness/runbook",
	"harness/rundir",
	"harness/runner",
	"harness/compare",
	"harness/report",
	"harness/observe",
	"harness/progress",
	"harness/metrics",
	"harness/rules",
	"harness/schema",
	"cmd/lockjam",
}

// leaves import nothing of ours but the helpers for words.
var leaves = []string{"scenarios", "harness/text", "harness/history", "harness/result", "harness/waitgraph",
	"harness/faults"}

// never lists imports that the order allows and the design does not: what renders or
// describes results must not depend on what produces them, and the judge touches nothing.
// Subfolders are meant as well.
var never = map[string][]string{
	"harness/compare":    {"harness/runner", "harness/server", "harness/swarm", "harness/judge"},
	"harness/report":     {"harness/runner", "harness/server", "harness/swarm", "harness/judge"},
	"harness/metrics":    {"harness/runner", "harness/server", "harness/swarm", "harness/judge"},
	"harness/schema":     {"harness/runner", "harness/judge"},
	"harness/signals":    {"harness/server", "harness/swarm", "harness/sampler"},
	"harness/claims":     {"harness/server", "harness/swarm", "harness/sampler"},
	"harness/standstill": {"harness/sampler"},
	"harness/observe":    {"harness/runner", "harness/judge", "harness/swarm"},
}

// floor is a package's place among rooms; -1 for one that has none.
func floor(rooms []string, pkg string) int {
	return slices.IndexFunc(rooms, func(room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") })
}

func TestImportsGoOneWay(t *testing.T) {
	for pkg, imports := range packages(t) {
		if pkg == "harness" {
			if len(imports) > 0 {
				t.Errorf("harness itself holds tests of the whole and no code, and imports %v", imports)
			}
			continue
		}
		place := floor(house, pkg)
		if place < 0 {
			t.Errorf("package %s has no place in the house: add it to the list in this test, where its imports allow",
				pkg)
			continue
		}
		for _, imported := range imports {
			ours, isOurs := strings.CutPrefix(imported, module)
			switch {
			case strings.HasPrefix(imported, "github.com/moby/") && pkg != "harness/server/container":
				t.Errorf("%s imports %s: only harness/server/container depends on Docker", pkg, imported)
			case imported == "testing":
				t.Errorf("%s imports testing outside of tests", pkg)
			case !isOurs:
			case floor(house, ours) > place:
				t.Errorf("%s imports %s, which stands below it", pkg, ours)
			case floor(never[house[place]], ours) >= 0:
				t.Errorf("%s imports %s, which it must not", pkg, ours)
			case slices.Contains(leaves, pkg) && ours != "harness/text":
				t.Errorf("%s imports %s, and is a leaf", pkg, ours)
			}
		}
	}
}

// packages lists what each of our packages imports.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	// A result is cached until a file or folder changes that the test itself has opened, and
	// go list is another process.
	for _, folder := range []string{".", "../cmd"} {
		if err := filepath.WalkDir(folder, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		all[strings.TrimPrefix(path, module)] = strings.Fields(imports)
	}
	return all
}
