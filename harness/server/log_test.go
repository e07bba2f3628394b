package server

import (
	"errors"
	"fmt"
	"testing"
)

// at is how a line of a log begins, before its level.
const at = "7:M 01 Dec 2026 02:00:00.000 "

func TestLastWords(t *testing.T) {
	const (
		overcommit = at + "# WARNING Memory overcommit must be enabled! Without it, a background save or replication " +
			"may fail under low memory condition.\n"
		starting = at + "# oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo\n" +
			at + "# Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid=7, just started\n" +
			at + "# Configuration loaded\n"
		noTLS = at + "# No tls-cert-file configured!\n" +
			at + "# Failed to configure TLS. Check logs for more info.\n"
		badDirective = "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 2\n" +
			">>> 'maxmemory-policy nonsense'\nargument(s) must be one of the following: x\n"
	)
	for _, c := range []struct{ name, output, want string }{
		{"the overcommit warning is not the reason", overcommit + starting + noTLS,
			"No tls-cert-file configured!; Failed to configure TLS. Check logs for more info."},
		{"not even as the last line", starting + at + "# Bind failed\n" + overcommit, "Bind failed"},
		{"an error about redis.conf", starting + overcommit + badDirective,
			"Reading the configuration file, at line 2: >>> 'maxmemory-policy nonsense': " +
				"argument(s) must be one of the following: x"},
		{"only lines that are in every log", starting + overcommit + at + "* Running mode=standalone, port=1.\n",
			"Running mode=standalone, port=1."},
		{"not a log of Redis", "exec: no such file\n", "exec: no such file"},
		{"no output", "", "no output"},
	} {
		if got := LastWords([]byte(c.output)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestDirective(t *testing.T) {
	const where = "Reading the configuration file, at line 2: >>> "
	for words, want := range map[string][2]string{
		where + "'maxmemory-policy nonsense': argument(s) must be": {
			"maxmemory-policy", "'maxmemory-policy nonsense': argument(s) must be",
		},
		">>> 'slaveof': wrong number of arguments": {"slaveof", "'slaveof': wrong number of arguments"},
		"No tls-cert-file configured!":             {"", ""},
	} {
		if name, why := (&Ended{Words: words}).Directive(); name != want[0] || why != want[1] {
			t.Errorf("%s: %q, %q", words, name, why)
		}
	}
}

func TestRefusalToStop(t *testing.T) {
	const (
		normal  = at + "# User requested shutdown...\n" + at + "* Saving the final RDB snapshot before exiting.\n"
		refused = at + "# Error trying to save the DB, can't exit.\n" + at + "# Errors trying to shut down"
		forced  = at + "# Error trying to save the DB. Exit anyway.\n"
	)
	for output, want := range map[string]string{
		"": "", normal: "", refused: "Error trying to save the DB, can't exit", forced: "",
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
