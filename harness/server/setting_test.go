package server_test

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
)

func TestUsersAreReadBack(t *testing.T) {
	want := server.Config{"user": "default on nopass allkeys &* +@all -eval -evalsha\nworker on >sesame ~lock:* +get +set"}
	c := openControl(t, startProcess(t, "users", want)).Admin
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
		if err := c.ACLSetUser(t.Context(), "worker", "reset", "on", ">sesame", "~lock:*", "+get",
			"+set").Err(); err != nil {
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

// A setting that the server does not report is unread, with the reason.
func TestSettingsThatCannotBeReadBack(t *testing.T) {
	want := server.Config{"save": `""`, "rename-command": `FLUSHALL ""`}
	c := openControl(t, startProcess(t, "unread", want)).Admin
	differ, unread := server.ReadBack(t.Context(), c, want)
	const renamed = `rename-command FLUSHALL "" (not in the answer to CONFIG GET)`
	if len(differ) != 0 || len(unread) != 1 || unread[0].String() != renamed {
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
