package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
)

// everyKind has values in each of the forms that redis.conf knows and CONFIG GET writes otherwise.
var everyKind = server.Config{
	"maxclients": "20", "save": "3600 1 300 100 60 10000", "appendonly": "No", "timeout": "0",
	"maxmemory": "2500kb", "maxmemory-policy": "noeviction", "repl-backlog-size": "2mb",
	"client-output-buffer-limit": "normal 1mb 512kb 10 replica 2m 1m 20\npubsub 0 0 0", "notify-keyspace-events": "Kl",
	"requirepass": `"se\x63ret"`, "dbfilename": "'other.rdb'", "slave-priority": "50",
	"lua-time-limit": "900", "latency-monitor-threshold": "100",
}

// As every version and kind has it: LOCKJAM_REDIS_IMAGE names the image of the container.
func TestSettingsAreReadBack(t *testing.T) {
	for _, kind := range []struct {
		name  string
		start func(t *testing.T) server.Server
	}{
		{"process", func(t *testing.T) server.Server {
			needProcess(t)
			return start(t, server.StartProcess, server.Spec{Config: everyKind, Workspace: newWorkspace(t), Name: "settings"})
		}},
		{"container", func(t *testing.T) server.Server {
			image := needImage(t)
			spec := server.Spec{Config: everyKind, Image: image, Workspace: newWorkspace(t), Name: "settings"}
			return start(t, server.StartContainer, spec)
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			c := openControl(t, kind.start(t)).Admin
			if differ, unread := server.ReadBack(t.Context(), c, everyKind); len(differ)+len(unread) > 0 {
				t.Errorf("differ: %v, unread: %v", differ, unread)
			}
			for directive, value := range map[string]string{
				"save": "3600 1", "appendonly": "yes", "maxmemory": "2500001", "client-output-buffer-limit": "normal 1mb 512kb 11",
				"notify-keyspace-events": "Kx", "timeout": "7", "requirepass": "another",
			} {
				if err := c.ConfigSet(t.Context(), directive, value).Err(); err != nil {
					t.Fatal(err)
				}
				differ, _ := server.ReadBack(t.Context(), c, everyKind)
				if len(differ) != 1 || differ[0].Directive != directive || differ[0].Has == "" {
					t.Errorf("%s is %s: %v", directive, value, differ)
				} else if strings.Contains(differ[0].String(), "another") {
					t.Errorf("a secret is shown: %s", differ[0])
				}
				before := strings.Trim(strings.ReplaceAll(everyKind[directive], "\n", " "), `"`)
				if directive == "requirepass" {
					before = "secret"
				}
				if err := c.ConfigSet(t.Context(), directive, before).Err(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestUsersAreReadBack(t *testing.T) {
	needProcess(t)
	want := server.Config{"user": "default on nopass allkeys &* +@all -eval -evalsha\nworker on >sesame ~lock:* +get +set"}
	spec := server.Spec{Config: want, Workspace: newWorkspace(t), Name: "users"}
	c := openControl(t, start(t, server.StartProcess, spec)).Admin
	if differ, unread := server.ReadBack(t.Context(), c, want); len(differ)+len(unread) > 0 {
		t.Fatalf("differ: %v, unread: %v", differ, unread)
	}
	for _, rule := range []string{"off", "nopass", "~*"} {
		if err := c.ACLSetUser(t.Context(), "worker", rule).Err(); err != nil {
			t.Fatal(err)
		}
		differ, _ := server.ReadBack(t.Context(), c, want)
		if len(differ) != 1 || strings.Contains(differ[0].String(), "sesame") {
			t.Errorf("%s: %v", rule, differ)
		}
		if err := c.ACLSetUser(t.Context(), "worker", "reset", "on", ">sesame", "~lock:*", "+get", "+set").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.ACLSetUser(t.Context(), "default", "-get").Err(); err != nil {
		t.Fatal(err)
	}
	if _, unread := server.ReadBack(t.Context(), c, want); len(unread) != 1 || unread[0].Has == "" {
		t.Errorf("other rules for commands: %v", unread)
	}
	if err := c.ACLDelUser(t.Context(), "worker").Err(); err != nil {
		t.Fatal(err)
	}
	if differ, _ := server.ReadBack(t.Context(), c, want); len(differ) != 1 || differ[0].Has != "no user worker" {
		t.Errorf("a user that is not there: %v", differ)
	}
}

// What a server does not answer is not known, and that is said.
func TestSettingsThatCannotBeReadBack(t *testing.T) {
	needProcess(t)
	want := server.Config{"save": `""`, "rename-command": `FLUSHALL ""`}
	spec := server.Spec{Config: want, Workspace: newWorkspace(t), Name: "unread"}
	c := openControl(t, start(t, server.StartProcess, spec)).Admin
	differ, unread := server.ReadBack(t.Context(), c, want)
	if len(differ) != 0 || len(unread) != 1 || unread[0].String() != `rename-command FLUSHALL "" (CONFIG GET answers nothing for it)` {
		t.Errorf("differ: %v, unread: %v", differ, unread)
	}
	if err := c.ACLSetUser(t.Context(), "default", "-config").Err(); err != nil {
		t.Fatal(err)
	}
	differ, unread = server.ReadBack(t.Context(), c, want)
	if len(differ) != 0 || len(unread) != 2 || !strings.Contains(unread[1].Unread, "NOPERM") {
		t.Errorf("without CONFIG: differ: %v, unread: %v", differ, unread)
	}
}

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

// The one file that every version understands: no line has more words than Redis 5.0 reads.
func TestLinesOfRedisConf(t *testing.T) {
	c := server.Config{
		"save": "3600 1 300 100", "client-output-buffer-limit": "normal 0 0 0 pubsub 1 1 1", "user": "a on\nb off", "hz": "10",
	}
	const want = `client-output-buffer-limit normal 0 0 0
client-output-buffer-limit pubsub 1 1 1
hz 10
save 3600 1
save 300 100
user a on
user b off
`
	if got := string(server.File(c)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
