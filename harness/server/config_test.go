package server_test

import (
	"slices"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
)

func TestConfigWords(t *testing.T) {
	for line, want := range map[string][]string{
		`3600 1  300	100`: {"3600", "1", "300", "100"},
		`""`:              {""},
		`"a b" 'c d'`:     {"a b", "c d"},
		`"\x2e\n\q" '\''`: {".\nq", "'"},
		`a"b"`:            {"ab"},
		"":                nil,
	} {
		if words, ok := server.ConfigWords(line); !ok || !slices.Equal(words, want) {
			t.Errorf("%s: %q, %v; want %q", line, words, ok, want)
		}
	}
	for _, line := range []string{`"a`, `'a`, `"a"b`, `x "`} {
		if words, ok := server.ConfigWords(line); ok {
			t.Errorf("%s: %q; want quotes that do not match", line, words)
		}
	}
}

// Every version from Redis 5.0 on understands the file: no line has more words than Redis 5.0
// reads.
func TestLinesOfRedisConf(t *testing.T) {
	c := server.Config{
		"save": "3600 1 300 100", "client-output-buffer-limit": "normal 0 0 0 pubsub 1 1 1",
		"user": "a on\nb off", "hz": "10",
	}
	const want = `client-output-buffer-limit normal 0 0 0
client-output-buffer-limit pubsub 1 1 1
hz 10
save 3600 1
save 300 100
user a on
user b off
`
	if got := string(c.File()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
