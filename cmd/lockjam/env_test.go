package main

import (
	"strings"
	"testing"
)

func TestTwins(t *testing.T) {
	for _, c := range []struct {
		name        string
		args        []string
		environment map[string]string
		flag, want  string
		origin      string
	}{
		{"the default", nil, nil, "parallel", "3", "--parallel"},
		{"the environment wins over the default", nil, map[string]string{"LOCKJAM_PARALLEL": "3"}, "parallel", "3",
			"LOCKJAM_PARALLEL (environment)"},
		{"the flag wins over the environment", []string{"--parallel", "4"}, map[string]string{"LOCKJAM_PARALLEL": "3"},
			"parallel", "4", "--parallel"},
		{"a flag wins that says what the default says", []string{"--parallel=3"},
			map[string]string{"LOCKJAM_PARALLEL": "4"}, "parallel", "3", "--parallel"},
		// A bad value that is not used does not matter.
		{"the flag wins over nonsense", []string{"--parallel", "4"}, map[string]string{"LOCKJAM_PARALLEL": "x"},
			"parallel", "4", "--parallel"},
		{"set to nothing is not set", nil, map[string]string{"LOCKJAM_OUT": ""}, "out", "results", "--out"},
		{"a flag of two words", nil, map[string]string{"LOCKJAM_ALLOW_DESTRUCTIVE": "1"}, "allow-destructive", "true",
			"LOCKJAM_ALLOW_DESTRUCTIVE (environment)"},
		{"a switch can be turned off again", []string{"--quiet=false"}, map[string]string{"LOCKJAM_QUIET": "true"},
			"quiet", "false", "--quiet"},
		{"several arms", nil, map[string]string{"LOCKJAM_ARM": "a,b"}, "arm", "[a,b]", "LOCKJAM_ARM (environment)"},
		{"the arms of the flag replace them", []string{"--arm", "c"}, map[string]string{"LOCKJAM_ARM": "a,b"}, "arm",
			"[c]", "--arm"},
		{"the image's second choice", nil, map[string]string{"LOCKJAM_REDIS_IMAGE": "r:1"}, "image", "[r:1]",
			"LOCKJAM_REDIS_IMAGE (environment)"},
		{"the image's first choice", nil, map[string]string{"LOCKJAM_REDIS_IMAGE": "r:1", "LOCKJAM_IMAGE": "r:2"},
			"image", "[r:2]", "LOCKJAM_IMAGE (environment)"},
		{"the first choice is set to nothing", nil,
			map[string]string{"LOCKJAM_REDIS_IMAGE": "r:1", "LOCKJAM_IMAGE": ""}, "image", "[r:1]",
			"LOCKJAM_REDIS_IMAGE (environment)"},
		{"several images", nil, map[string]string{"LOCKJAM_IMAGE": "r:1,r:2"}, "image", "[r:1,r:2]",
			"LOCKJAM_IMAGE (environment)"},
		{"the images of the flags replace them", []string{"--image", "r:3", "--image", "r:4"},
			map[string]string{"LOCKJAM_IMAGE": "r:1,r:2"}, "image", "[r:3,r:4]", "--image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := newRun()
			if err := cmd.ParseFlags(c.args); err != nil {
				t.Fatal(err)
			}
			lookup := func(name string) (string, bool) { v, ok := c.environment[name]; return v, ok }
			if err := applyEnvironment(cmd, lookup); err != nil {
				t.Fatal(err)
			}
			if got := cmd.Flags().Lookup(c.flag).Value.String(); got != c.want {
				t.Errorf("--%s is %s, want %s", c.flag, got, c.want)
			}
			if got := origin(cmd, c.flag); got != c.origin {
				t.Errorf("--%s is said to come from %s, want %s", c.flag, got, c.origin)
			}
		})
	}
}

// Whatever flag is added later: it has a twin, and its help names it.
func TestEveryFlagNamesItsTwin(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		for _, line := range strings.Split(cmd.LocalFlags().FlagUsages(), "\n") {
			if line == "" || strings.Contains(line, "--help") {
				continue
			}
			name, _, _ := strings.Cut(line[strings.Index(line, "--")+2:], " ")
			if want := "LOCKJAM_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")); !strings.Contains(line, want) {
				t.Errorf("%s: the help does not name %s: %s", cmd.Name(), want, line)
			}
		}
	}
}
