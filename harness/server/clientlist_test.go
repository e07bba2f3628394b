package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

// Lines as Redis 6.0, Redis 7.0 and Valkey 9.1 print them, and some that none prints.
func TestClients(t *testing.T) {
	for _, c := range []struct {
		line string
		want server.Client
		err  string
	}{
		{
			"id=3 addr=127.0.0.1:50188 fd=8 name=lockjam-control-admin age=2 idle=1 flags=N db=0 sub=0 psub=0 multi=-1 qbuf=26 qbuf-free=32742 obl=0 oll=0 omem=0 events=r cmd=client user=default",
			server.Client{ID: 3, Name: "lockjam-control-admin", Host: "127.0.0.1", Flags: "N", Command: "client",
				Age: 2 * time.Second, Idle: time.Second}, "",
		},
		{
			"id=9 addr=[::1]:6000 laddr=[::1]:6379 fd=11 name= age=0 idle=0 flags=O db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 argv-mem=0 cmd=monitor user=default redir=-1 resp=2",
			server.Client{ID: 9, Host: "[::1]", Flags: "O", Command: "monitor"}, "",
		},
		{
			"id=12 addr=10.0.0.7:1 laddr=10.0.0.2:6379 fd=11 name=cron age=700 idle=700 flags=N capa= db=0 cmd=get|x user=default lib-name= lib-ver= tot-net-in=0 tot-cmds=4",
			server.Client{ID: 12, Name: "cron", Host: "10.0.0.7", Flags: "N", Command: "get|x", Age: 700 * time.Second,
				Idle: 700 * time.Second}, "",
		},
		{"addr=1.2.3.4:5 name=x flags=N", server.Client{Name: "x", Host: "1.2.3.4", Flags: "N"}, "no id or no flags"},
		{"id=1 age=soon name=x flags=N", server.Client{ID: 1, Name: "x", Flags: "N"}, `read "age=soon"`},
		{"(error) NOPERM", server.Client{}, "no id or no flags"},
	} {
		n := 0
		for got, err := range server.Clients("\n" + c.line + "\r\n\n") {
			n++
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %+v, %v", c.line, got, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d clients", c.line, n)
		}
	}
}

func TestInstruments(t *testing.T) {
	for name, want := range map[string]bool{"lockjam-control-monitor": true, "lockjam-watch-monitor": true,
		"lockjam-1-0": false, "": false} {
		if c := (server.Client{Name: name}); c.Instrument() != want {
			t.Errorf("%q: %v", name, c.Instrument())
		}
	}
}

func FuzzClients(f *testing.F) {
	f.Add("id=1 addr=:0 name=x flags=N age=1 idle=1\n\nid=")
	f.Fuzz(func(t *testing.T, list string) {
		lines := 0
		for range server.Clients(list) {
			lines++
		}
		if lines > strings.Count(list, "\n")+1 {
			t.Errorf("%d clients in %q", lines, list)
		}
	})
}
