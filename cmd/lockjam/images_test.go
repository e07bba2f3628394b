package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secondTag gives an image a second name for the length of a test: two images that
// cannot differ.
func secondTag(t *testing.T, image string) string {
	t.Helper()
	tag := fmt.Sprintf("lockjam-redis:test-%d", os.Getpid())
	if said, err := exec.Command("docker", "tag", image, tag).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	t.Cleanup(func() {
		if said, err := exec.Command("docker", "image", "rm", tag).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
	})
	return tag
}

// Every arm runs on each image, and the report has a column for each.
func TestSeveralImages(t *testing.T) {
	h := newHouse(t)
	one := localImage(t)
	other := secondTag(t, one)
	stdout, stderr := h.lockjam(0, "run", "short.yaml", "--server", "container", "--image", one, "--image", other,
		"--arm", "control", "--parallel", "1")
	for _, image := range []string{one, other} {
		if !strings.Contains(stderr, "short/control on "+image+": trigger surge") ||
			!strings.Contains(stdout, "control on "+image) {
			t.Errorf("%s is not told of:\n%s%s", image, stdout, stderr)
		}
	}
	r := h.run()
	if len(r.Scenarios) != 1 || len(r.Scenarios[0].Arms) != 2 || !slices.Equal(r.Images(), []string{one, other}) {
		t.Fatalf("%q: %+v", r.Images(), r.Scenarios)
	}
	latest := filepath.Join(h.dir, "results", "latest")
	for i, a := range r.Scenarios[0].Arms {
		s := r.Environment.Servers[i]
		if a.Image != s.Image || s.Version == "" || s.MaxClients != 32 || len(s.Features) == 0 {
			t.Errorf("arm on %s, server %+v", a.Image, s)
		}
		if !strings.HasPrefix(a.Folder, filepath.Join("short", "control+")) {
			t.Errorf("folder %s", a.Folder)
		}
		if text := readFile(t, filepath.Join(latest, a.Folder, "environment.json")); !strings.Contains(text,
			fmt.Sprintf(`"image": %q`, a.Image)) {
			t.Errorf("it did not run on %s:\n%s", a.Image, text)
		}
	}
	if r.Environment.Server.Image != one {
		t.Errorf("the run's server is %+v", r.Environment.Server)
	}
	head := fmt.Sprintf("| scenario | arm | %s | %s | differs |\n", one, other)
	if text := readFile(t, filepath.Join(latest, reportFile)); !strings.Contains(text, head) {
		t.Errorf("no %q in\n%s", head, text)
	}
	before := readFile(t, filepath.Join(latest, "run.json"))
	if again, _ := h.lockjam(0, "judge", latest); !strings.Contains(again, "changed: nothing") ||
		readFile(t, filepath.Join(latest, "run.json")) != before {
		t.Errorf("judged again:\n%s", again)
	}
	h.nothingLeft()
}

// One image of two that is missing is a run that does not begin.
func TestOneImageOfTwoIsMissing(t *testing.T) {
	h := newHouse(t)
	const missing = "127.0.0.1:9/lockjam/no-such-image:1" // a registry that refuses at once
	_, stderr := h.lockjam(69, "run", "short.yaml", "--image", localImage(t), "--image", missing, "--quiet")
	if strings.Count(stderr, "\n") != 1 ||
		!strings.HasPrefix(stderr, "lockjam: no Redis found: image "+missing+" is missing and cannot be pulled") {
		t.Errorf("stderr: %s", stderr)
	}
	if begun, err := filepath.Glob(filepath.Join(h.dir, "results", "*")); err != nil || len(begun) > 0 {
		t.Errorf("something was begun: %q, %v", begun, err)
	}
}
