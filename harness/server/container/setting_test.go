package container_test

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
	"github.com/lockjam/lockjam/harness/server/process"
)

// everyForm has values in each of the forms that redis.conf allows and CONFIG GET returns
// differently.
var everyForm = server.Config{
	"maxclients": "20", "save": "3600 1 300 100 60 10000", "appendonly": "No", "timeout": "0",
	"maxmemory": "2500kb", "maxmemory-policy": "noeviction", "repl-backlog-size": "2mb",
	"client-output-buffer-limit": "normal 1mb 512kb 10 replica 2m 1m 20\npubsub 0 0 0", "notify-keyspace-events": "Kl",
	"requirepass": `"se\x63ret"`, "dbfilename": "'other.rdb'", "slave-priority": "50",
	"lua-time-limit": "900", "latency-monitor-threshold": "100",
}

// LOCKJAM_REDIS_IMAGE names the image of the container, to check other versions.
func TestSettingsAreReadBack(t *testing.T) {
	for _, kind := range []struct {
		name  string
		start func(t *testing.T) server.Server
	}{
		{"process", func(t *testing.T) server.Server {
			needProcess(t)
			return start(t, process.Start, server.Spec{Config: everyForm, Workspace: newWorkspace(t), Name: "settings"})
		}},
		{"container", func(t *testing.T) server.Server {
			image := needImage(t)
			spec := server.Spec{Config: everyForm, Image: image, Workspace: newWorkspace(t), Name: "settings"}
			return start(t, container.Start, spec)
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			c := openControl(t, kind.start(t)).Admin
			if differ, unread := server.ReadBack(t.Context(), c, everyForm); len(differ)+len(unread) > 0 {
				t.Errorf("differ: %v, unread: %v", differ, unread)
			}
			for directive, value := range map[string]string{
				"save": "3600 1", "appendonly": "yes", "maxmemory": "2500001",
				"client-output-buffer-limit": "normal 1mb 512kb 11",
				"notify-keyspace-events":     "Kx", "timeout": "7", "requirepass": "another",
			} {
				if err := c.ConfigSet(t.Context(), directive, value).Err(); err != nil {
					t.Fatal(err)
				}
				differ, _ := server.ReadBack(t.Context(), c, everyForm)
				if len(differ) != 1 || differ[0].Directive != directive || differ[0].Has == "" {
					t.Errorf("%s is %s: %v", directive, value, differ)
				} else if strings.Contains(differ[0].String(), "another") {
					t.Errorf("a secret is shown: %s", differ[0])
				}
				before := strings.Trim(strings.ReplaceAll(everyForm[directive], "\n", " "), `"`)
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
