package rundir

import (
	"slices"
	"strings"
	"testing"
)

func TestImageLabels(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name         string
		images, want []string
	}{
		{"a single one needs no name", []string{"redis:7.4"}, []string{""}},
		{"the last part and the tag", []string{"redis:7.4-alpine", "ghcr.io/valkey-io/valkey:8"},
			[]string{"redis-7.4-alpine", "valkey-8"}},
		{"a digest is cut", []string{"redis@" + digest, "redis:7@" + digest},
			[]string{"redis-0123456789ab", "redis-7-0123456789ab"}},
		{"they have the same last part", []string{"redis:8", "mirror.example:5000/redis:8"},
			[]string{"redis-8", "mirror.example-5000-redis-8"}},
		// On some file systems the second would be written over the first.
		{"they differ by their case alone", []string{"redis:RC", "redis:rc"}, []string{"redis-RC-1", "redis-rc-2"}},
		{"they are alike in the end and as a whole", []string{"a/b/c:1", "a-b/c:1"}, []string{"c-1-1", "c-1-2"}},
	} {
		if got := ImageLabels(c.images); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	long := ImageLabels([]string{"r:" + strings.Repeat("x", 128), "r:" + strings.Repeat("x", 128) + "y"})
	if long[0] == long[1] || len(long[0]) > maxLabel+2 {
		t.Errorf("%q", long)
	}
}
