package server

import (
	"errors"
	"fmt"
	"testing"
)

func TestLastWords(t *testing.T) {
	const (
		overcommit = "7:C 01 Dec 2026 02:00:00.000 # WARNING Memory overcommit must be enabled! Without it, a background save or replication may fail under low memory condition.\n"
		starting   = "7:C 01 Dec 2026 02:00:00.000 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo\n" +
			"7:C 01 Dec 2026 02:00:00.000 # Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid=7, just started\n" +
			"7:C 01 Dec 2026 02:00:00.000 # Configuration loaded\n"
	)
	for _, c := range []struct{ name, output, want string }{
		{"the overcommit warning says nothing of the end",
			overcommit + starting + "7:M 01 Dec 2026 02:00:00.000 # No tls-cert-file configured!\n7:M 01 Dec 2026 02:00:00.000 # Failed to configure TLS. Check logs for more info.\n",
			"No tls-cert-file configured!; Failed to configure TLS. Check logs for more info."},
		{"nor does it where it comes last", starting + "7:M 01 Dec 2026 02:00:00.000 # Bind failed\n" + overcommit, "Bind failed"},
		{"a complaint about redis.conf", starting + overcommit + "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 2\n>>> 'maxmemory-policy nonsense'\nargument(s) must be one of the following: x\n",
			"Reading the configuration file, at line 2: >>> 'maxmemory-policy nonsense': argument(s) must be one of the following: x"},
		{"nothing but what stands in every log", starting + overcommit + "7:M 01 Dec 2026 02:00:00.000 * Running mode=standalone, port=1.\n", "Running mode=standalone, port=1."},
		{"no log of Redis's", "exec: no such file\n", "exec: no such file"},
		{"nothing", "", "it said nothing"},
	} {
		if got := LastWords([]byte(c.output)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestDirective(t *testing.T) {
	for words, want := range map[string][2]string{
		"Reading the configuration file, at line 2: >>> 'maxmemory-policy nonsense': argument(s) must be": {"maxmemory-policy", "'maxmemory-policy nonsense': argument(s) must be"},
		">>> 'slaveof': wrong number of arguments":                                                        {"slaveof", "'slaveof': wrong number of arguments"},
		"No tls-cert-file configured!":                                                                    {"", ""},
	} {
		if name, why := (&Ended{Words: words}).Directive(); name != want[0] || why != want[1] {
			t.Errorf("%s: %q, %q", words, name, why)
		}
	}
}

func TestRefusalToStop(t *testing.T) {
	for output, want := range map[string]string{
		"": "",
		"7:M 01 Dec 2026 02:00:00.000 # User requested shutdown...\n7:M 01 Dec 2026 02:00:00.000 * Saving the final RDB snapshot before exiting.\n": "",
		"7:M 01 Dec 2026 02:00:00.000 # Error trying to save the DB, can't exit.\n7:M 01 Dec 2026 02:00:00.000 # Errors trying to shut down":        "Error trying to save the DB, can't exit",
		"7:M 01 Dec 2026 02:00:00.000 # Error trying to save the DB. Exit anyway.\n":                                                                "",
	} {
		if got := RefusalToStop([]byte(output)); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

func TestUnusable(t *testing.T) {
	cause := errors.New("x")
	err := fmt.Errorf("arm control: %w", Unusable(cause))
	if !errors.Is(err, ErrUnusable) || !errors.Is(err, cause) || err.Error() != "arm control: x" {
		t.Error(err)
	}
}
