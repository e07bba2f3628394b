package swarm

import "testing"

// The first ten thousand clients dial from where the system says, the next from 127.0.0.2, and
// so on; for a server on another machine all of them leave it to the system.
func TestSources(t *testing.T) {
	for _, c := range []struct {
		server string
		client int64
		source string
	}{
		{"127.0.0.1:6379", 1, ""},
		{"127.0.0.1:6379", perSource, ""},
		{"127.0.0.1:6379", perSource + 1, "127.0.0.2:0"},
		{"127.0.0.1:6379", 3 * perSource, "127.0.0.3:0"},
		{"[::1]:6379", 3 * perSource, ""},
		{"10.0.0.7:6379", 3 * perSource, ""},
		{"redis:6379", 3 * perSource, ""},
	} {
		got := ""
		if a := sourceOf(c.server, c.client); a != nil {
			got = a.String()
		}
		if got != c.source && severalSources {
			t.Errorf("client %d of %s dials from %q, want %q", c.client, c.server, got, c.source)
		}
	}
}
