package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// promtool runs it on files of a folder and returns what it says.
func promtool(t *testing.T, folder string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not on PATH: scripts/setup.sh --tests installs it (Debian's package prometheus)")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// Prometheus takes them, for the shortest interval and the longest.
func TestPrometheusTakesTheRules(t *testing.T) {
	for _, interval := range []time.Duration{MinInterval, DefaultInterval, MaxInterval} {
		t.Run(interval.String(), func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "lockjam.rules.yml"), written(t, interval),
				0o644); err != nil {
				t.Fatal(err)
			}
			promtool(t, folder, "check", "rules", "lockjam.rules.yml")
		})
	}
}

// Prometheus' own evaluation of literal series: testdata/alerts.yml says which alerts
// fire when, and that no others do.
func TestAlertsFireAtTheirEdges(t *testing.T) {
	folder := t.TempDir()
	cases, err := os.ReadFile("testdata/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"lockjam.rules.yml": written(t, DefaultInterval), "alerts.yml": cases} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, folder, "test", "rules", "alerts.yml")
}
