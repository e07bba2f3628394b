package report

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/result"
)

// command is a workflow command as a runner reads it: the name, the properties and the
// message, with everything put back that is escaped in them.
type command struct {
	name, message string
	properties    map[string]string
}

func parseCommand(t *testing.T, line string) command {
	t.Helper()
	head, message, ok := strings.Cut(strings.TrimPrefix(line, "::"), "::")
	if !ok || !strings.HasPrefix(line, "::") {
		t.Fatalf("no command: %q", line)
	}
	c := command{properties: map[string]string{}}
	var properties string
	c.name, properties, _ = strings.Cut(head, " ")
	for p := range strings.SplitSeq(properties, ",") {
		name, value, _ := strings.Cut(p, "=")
		c.properties[name] = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25",
			"%").Replace(value)
	}
	c.message = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(message)
	return c
}

func commandsOf(t *testing.T, r *result.Run) []command {
	t.Helper()
	var summary, out bytes.Buffer
	if err := GitHub(&summary, &out, r); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(summary.String(), "# lockjam run") || summary.Len() > maxSummary {
		t.Errorf("the summary has %d bytes and begins %.40q", summary.Len(), summary.String())
	}
	var all []command
	for line := range strings.Lines(out.String()) {
		all = append(all, parseCommand(t, strings.TrimSuffix(line, "\n")))
	}
	return all
}

func TestAnnotations(t *testing.T) {
	workspace := t.TempDir()
	t.Setenv("GITHUB_WORKSPACE", workspace)
	t.Chdir(workspace)
	r := sample.Run()
	why := r.Scenarios[0].Arms[2].Reasons[0]
	r.Scenarios[0].Arms[2].Places = []result.Location{{Reason: why, Key: "arms[2].expect.verdict", Line: 41, Column: 18}}
	for _, c := range []struct {
		file, want, message string
	}{
		{filepath.Join("chaos", "a,b:c%.yaml"), "chaos/a,b:c%.yaml", why},
		{filepath.Join(workspace, "mine.yaml"), "mine.yaml", why},
		{"/elsewhere/mine.yaml", "/elsewhere/mine.yaml", why},
		// Of the catalogue there is no file in the user's repository.
		{"", "", why + "\narms[2].expect.verdict is in line 41 of `lockjam show --source slot-lock-deadlock`"},
	} {
		r.Scenarios[0].File = c.file
		all := commandsOf(t, r)
		if len(all) != 1 {
			t.Fatalf("%d commands", len(all))
		}
		got := all[0]
		line, column := "41", "18"
		if c.file == "" {
			line, column = "", ""
		}
		if got.name != "error" || got.message != c.message || got.properties["file"] != c.want ||
			got.properties["line"] != line || got.properties["col"] != column ||
			got.properties["title"] != "lockjam: slot-lock-deadlock / restart" {
			t.Errorf("%q: %+v", c.file, got)
		}
	}
	r.Scenarios[0].Arms[2].Outcome = result.Inconclusive
	if all := commandsOf(t, r); all[0].name != "warning" {
		t.Errorf("nothing can be said, and it is an %s", all[0].name)
	}
}

// What a scenario file or a server says is never a command of its own.
func TestAnnotationsAreHostileProof(t *testing.T) {
	r := sample.Run()
	evil := "x\r\n::add-mask::y,file=z::\u202e%0A"
	r.Scenarios[0].Name, r.Scenarios[0].File = evil, evil
	r.Scenarios[0].Arms[2].Reasons = []string{evil}
	r.Status, r.Because = result.Aborted, evil
	for _, c := range commandsOf(t, r) {
		if c.name != "error" || strings.ContainsAny(c.properties["title"], "\r\n\u202e") ||
			!strings.Contains(c.message, "%0A") || strings.Contains(c.message, "\u202e") {
			t.Errorf("%+v", c)
		}
	}
}

// GitHub shows ten of a kind: the last of them says how many there are beside.
func TestAnnotationsAreSummedUp(t *testing.T) {
	r := sample.Run()
	arm := r.Scenarios[0].Arms[2]
	r.Scenarios[0].Arms = nil
	for i := range 30 {
		one := arm
		one.Name = fmt.Sprint("arm-", i)
		if i >= 12 {
			one.Outcome = result.Inconclusive
		}
		r.Scenarios[0].Arms = append(r.Scenarios[0].Arms, one)
	}
	all := commandsOf(t, r)
	if len(all) != 20 || all[9].properties["title"] != "lockjam: 3 more" || all[9].name != "error" ||
		all[19].properties["title"] != "lockjam: 9 more" || all[19].name != "warning" {
		t.Errorf("%d: %+v", len(all), all)
	}
}
