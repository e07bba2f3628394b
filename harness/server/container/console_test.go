package container_test

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server/container"
)

// What Docker says of a program that an image does not have comes over the program's own output,
// and is not the program's.
func TestOutputOfAProgramThatIsNotThere(t *testing.T) {
	const words = `OCI runtime exec failed: exec failed: unable to start container process: exec: "redis-cli": executable file not found in $PATH: unknown`
	for _, c := range []struct {
		name    string
		pieces  []string
		missing bool
		passed  string
	}{
		{"it is not there", []string{words + "\r\n"}, true, ""},
		{"it prints", []string{"OK\n", "1.2 [0 127.0.0.1:1] \"get\" \"x\"\n"}, false, "OK\n1.2 [0 127.0.0.1:1] \"get\" \"x\"\n"},
		{"it prints the same, later", []string{"OK\n", words}, false, "OK\n" + words},
		{"it could not be run for another reason", []string{"OCI runtime exec failed: exec failed: cannot allocate memory"}, false, "OCI runtime exec failed: exec failed: cannot allocate memory"},
		{"it prints nothing", nil, false, ""},
	} {
		var w strings.Builder
		if missing := container.PassOn(&w, c.pieces...); missing != c.missing || w.String() != c.passed {
			t.Errorf("%s: missing %v, passed on %q", c.name, missing, w.String())
		}
	}
}
