package rules

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

var update = flag.Bool("update", false, "write docs/lockjam.rules.yml anew")

func written(t *testing.T, interval time.Duration) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, interval); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The copy in docs is what the command writes.
func TestRecordedRulesAreUpToDate(t *testing.T) {
	const path = "../../docs/lockjam.rules.yml"
	made := written(t, DefaultInterval)
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if there, err := os.ReadFile(path); err != nil || !bytes.Equal(there, made) {
		t.Errorf("%s is not what lockjam rules writes: run `go generate ./harness/rules` (%v)", path, err)
	}
}

func reference(t *testing.T) *result.Run {
	t.Helper()
	r, err := rundir.Load("../../results/reference")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a rule says was measured stands in the recorded run of the catalogue.
func TestWhatIsSaidWasMeasured(t *testing.T) {
	run := reference(t)
	verdicts := map[string]string{}
	for _, c := range run.Claims {
		verdicts[c.ID] = c.Verdict
	}
	for _, r := range runbook {
		t.Run(r.Name, func(t *testing.T) {
			fires, silent := did(run, r.Claim, r.Signal)
			if !slices.Equal(r.Fires, fires) || !slices.Equal(r.Silent, silent) {
				t.Errorf("signal %s fires in\n%q, and the rule says\n%q;\nit is silent in\n%q, and the rule says\n%q",
					r.Signal, fires, r.Fires, silent, r.Silent)
			}
			for _, id := range []string{r.Claim, r.Metric} {
				if id != "" && verdicts[id] != r.Verdict {
					t.Errorf("%s is %s, and the rule says %s", id, verdicts[id], r.Verdict)
				}
			}
		})
	}
}

// did lists the scenarios that bear on a claim by what a signal did in their failing
// arms, where nothing was done to prevent it.
func did(run *result.Run, claim, signal string) (fires, silent []string) {
	for _, sc := range run.Scenarios {
		if !slices.Contains(sc.Claims, claim) {
			continue
		}
		if fired, read := firedIn(sc, signal); fired {
			fires = append(fires, sc.Name)
		} else if read {
			silent = append(silent, sc.Name)
		}
	}
	return fires, silent
}

// firedIn reports whether a signal fired in a scenario, and if it could be read at all.
func firedIn(sc result.Scenario, signal string) (fired, read bool) {
	for _, a := range sc.Arms {
		if a.Reproduced == nil || !*a.Reproduced || a.Prevention != "" {
			continue
		}
		for _, s := range a.Signals {
			if s.Name == signal && s.Unavailable == "" {
				fired, read = fired || s.Fired, true
			}
		}
	}
	return fired, read
}

// The failures that no rule sees are those that the file names.
func TestHeadNamesWhatNoRuleSees(t *testing.T) {
	_, said, _ := strings.Cut(strings.ReplaceAll(head, "\n# ", " "), "nothing fires in ")
	for _, sc := range reference(t).Scenarios {
		seen, failed := false, false
		for _, r := range runbook {
			fired, read := firedIn(sc, r.Signal)
			seen, failed = seen || fired, failed || read
		}
		if named := strings.Contains(said, sc.Name); named != (failed && !seen) {
			t.Errorf("%s: named %v, failed %v, seen %v", sc.Name, named, failed, seen)
		}
	}
}

// Everything in the file that an engineer reads is there, once, and no placeholder is.
func TestWrite(t *testing.T) {
	text := written(t, time.Minute)
	if !bytes.Equal(text, written(t, time.Minute)) {
		t.Error("the same interval gives another text")
	}
	if i := bytes.Index(text, []byte("$short")); i >= 0 || bytes.Contains(text, []byte("$long")) {
		t.Errorf("a window has no value:\n%s", text)
	}
	var file yamlFile
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range file.Groups {
		if g.Interval != "1m" {
			t.Errorf("group %s is evaluated every %s", g.Name, g.Interval)
		}
		for _, r := range g.Rules {
			names = append(names, r.Alert)
			if (g.Name == "runbook") != (r.Annotations.Measured != "" && r.Labels.Severity == Info) {
				t.Errorf("%s in group %s: severity %s, measured %q", r.Alert, g.Name, r.Labels.Severity,
					r.Annotations.Measured)
			}
			if r.Annotations.Measured != "" && r.Annotations.Instead == "" {
				t.Errorf("%s does not say what to do instead", r.Alert)
			}
		}
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name is there twice: %q", names)
	}
	if want := "rate(redis_commands_processed_total[4m]) < 0.5 * rate(redis_commands_processed_total[20m] offset 20m)"; !bytes.Contains(text, []byte(want)) {
		t.Errorf("no %q in\n%s", want, text)
	}
	for _, interval := range []time.Duration{0, -time.Second, MinInterval - 1, MaxInterval + 1} {
		if err := Write(new(bytes.Buffer), interval); err == nil {
			t.Errorf("an interval of %v is taken", interval)
		}
	}
}

func TestPromDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		400 * time.Millisecond: "400ms", 4 * time.Second: "4s", time.Minute: "1m", 5 * time.Minute: "5m",
		90 * time.Second: "1m30s", 1500 * time.Millisecond: "1s500ms", 40 * time.Minute: "40m",
		61 * time.Minute: "1h1m",
	} {
		if got := promDuration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
