package swarm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// What a real server answers with an error is counted by its prefix, as often as
// commands were rejected, and what the client library deals with by itself is not.
func TestErrorRepliesAreCounted(t *testing.T) {
	settings := func(s *Settings) {
		s.Instances, s.Lock.Tenants, s.Lock.HoldMS, s.RedialMS = 2, 2, 1, 5
	}
	for _, c := range []struct {
		name, want, text string
		config           server.Config
		command          []any
	}{
		{name: "healthy: each script's first EVALSHA is answered NOSCRIPT", want: ""},
		{name: "no memory", want: "OOM", text: "OOM command not allowed",
			config: server.Config{"maxmemory": "100kb", "maxmemory-policy": "noeviction"}},
		{name: "no permission", want: "NOPERM", text: "permissions to run the 'evalsha' command",
			config: server.Config{"user": "default on nopass ~* &* +@all -eval -evalsha"}},
		{name: "a replica", want: "READONLY", text: "READONLY You can't write",
			command: []any{"REPLICAOF", "127.0.0.1", "1"}},
		{name: "no login", want: "NOAUTH", text: "NOAUTH ", command: []any{"CONFIG", "SET", "requirepass", "hunter2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBenchWith(t, c.config)
			if c.command != nil {
				if err := b.control.Admin.Do(t.Context(), c.command...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			set := Defaults()
			settings(&set)
			s := b.start(set)
			defer s.Stop()
			var seen history.Swarm
			b.eventually("50 answers", func() bool {
				seen = s.Snapshot()
				return seen.Commands >= 50
			})
			s.Stop()
			seen = s.Snapshot()
			if total := seen.Replies.Total(); total != seen.Errors[history.Rejected] {
				t.Errorf("%d error replies, %d rejected commands", total, seen.Errors[history.Rejected])
			}
			if seen.Replies == nil {
				t.Error("nothing is recorded, which reads as: no prefixes are known")
			}
			if got := strings.Join(seen.Replies.Prefixes(), " "); got != c.want {
				t.Fatalf("%q, want %q: %+v", got, c.want, seen.Replies)
			}
			r := seen.Replies[c.want]
			if !strings.Contains(r.First, c.text) || !strings.Contains(r.Last, c.text) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A full server's refusal is not an error reply: it has a class of its own.
func TestRefusalsAreNoErrorReplies(t *testing.T) {
	b := newBench(t, 10)
	b.fill()
	set := Defaults()
	set.Instances, set.RedialMS = 2, 5
	s := b.start(set)
	defer s.Stop()
	b.eventually("a refusal", func() bool { return s.Snapshot().Errors[history.Refused] > 0 })
	if got := s.Snapshot().Replies; len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestRepliesKeepNoPassword(t *testing.T) {
	r := replies{secret: "hunter2"}
	r.add(fmt.Errorf("init: %w", redis.NewCmdResult(nil, answer("ERR no such user, hunter2")).Err()))
	r.add(errors.New("OOM, but no reply"))
	var none *replies
	none.add(answer("OOM"))
	if got := r.counted(); got.Total() != 1 || got["ERR"].First != "ERR no such user, ***" {
		t.Errorf("%+v", got)
	}
}

// answer is an error reply.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}
