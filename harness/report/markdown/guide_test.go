package markdown

import (
	"bytes"
	"os"
	"testing"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/scenarios"
)

// The page in docs says what the scenarios say.
func TestGuideIsUpToDate(t *testing.T) {
	const path = "../../../docs/decision-table.md"
	var all []*scenario.Scenario
	for _, name := range scenarios.Names {
		sc, err := scenario.Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sc)
	}
	made := append(Guide(all), '\n')
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(there, made) {
		t.Errorf("%s is not what the scenarios say: run `go generate ./scenarios` (%v)", path, err)
	}
}

// Every failure has a row, and an arm stands where its expectation puts it.
func TestGuide(t *testing.T) {
	sc, err := scenario.Embedded("slot-lock-deadlock")
	if err != nil {
		t.Fatal(err)
	}
	quiet, err := scenario.Embedded("healthy")
	if err != nil {
		t.Fatal(err)
	}
	stall, err := scenario.Embedded("slow-server")
	if err != nil {
		t.Fatal(err)
	}
	text := string(Guide([]*scenario.Scenario{sc, stall, quiet}))
	for _, want := range []string{
		"| slot-lock-deadlock | fires |", "- Cannot be carried out: `release-stale-locks`\n",
		"- Cures, and mutual exclusion is broken: `raise-maxclients-restart`\n",
		"The wait-for graph proves it: deadlock.",
		"- Ends by itself, with nothing done about it\n- Cures, and mutual exclusion is broken: `restart-server`\n",
		"`lockjam show slot-lock-deadlock` says why",
	} {
		if !bytes.Contains([]byte(text), []byte(want)) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if bytes.Contains([]byte(text), []byte("healthy")) {
		t.Error("a control is no failure")
	}
}
