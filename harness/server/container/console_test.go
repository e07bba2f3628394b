package container_test

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server/container"
)

// Docker reports a missing program through the program's output stream. That is not passed on.
func TestOutputOfAMissingProgram(t *testing.T) {
	const report = `OCI runtime exec failed: exec failed: unable to start container process: ` +
		`exec: "redis-cli": executable file not found in $PATH: unknown`
	const failure = "OCI runtime exec failed: exec failed: cannot allocate memory"
	const output = "1.2 [0 127.0.0.1:1] \"get\" \"x\"\n"
	for _, c := range []struct {
		name    string
		pieces  []string
		missing bool
		passed  string
	}{
		{"missing", []string{report + "\r\n"}, true, ""},
		{"output", []string{"OK\n", output}, false, "OK\n" + output},
		{"the same words later in its output", []string{"OK\n", report}, false, "OK\n" + report},
		{"not run for another reason", []string{failure}, false, failure},
		{"no output", nil, false, ""},
	} {
		var w strings.Builder
		if missing := container.PassOn(&w, c.pieces...); missing != c.missing || w.String() != c.passed {
			t.Errorf("%s: missing %v, passed on %q", c.name, missing, w.String())
		}
	}
}
