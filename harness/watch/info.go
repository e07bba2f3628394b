package watch

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// readServer reads the server's counters. What it does not say (an old Redis, a
// managed service that hides things, a user who may not run CONFIG) is missing in
// the answer by name; the error is for a server that says nothing at all.
func readServer(ctx context.Context, c *redis.Client) (*history.Server, error) {
	info, err := ReadInfo(ctx, c, "server", "clients", "stats", "commandstats")
	if err != nil {
		return nil, err
	}
	s := &history.Server{RunID: info["run_id"]}
	for field, to := range map[string]*int64{
		"connected_clients": &s.Connected, "maxclients": &s.MaxClients, "rejected_connections": &s.Rejected,
		"total_connections_received": &s.Received, "total_commands_processed": &s.Commands,
	} {
		if *to, err = strconv.ParseInt(info[field], 10, 64); err != nil {
			lack(s, field, "INFO does not say it")
		}
	}
	stats := false
	for field, value := range info {
		name, ok := strings.CutPrefix(field, "cmdstat_")
		stats = stats || ok
		if ok && !ownCommand(name) {
			calls, usec := commandStat(value)
			s.Calls += calls
			s.CommandTime += time.Duration(usec) * time.Microsecond
		}
	}
	if !stats { // this very INFO would be in it
		lack(s, "commandstats", "INFO commandstats is empty")
	}
	if _, missing := s.Missing["maxclients"]; missing { // not in INFO before Redis 6.2
		askMaxClients(ctx, c, s)
	}
	return s, nil
}

func lack(s *history.Server, field, why string) {
	if s.Missing == nil {
		s.Missing = map[string]string{}
	}
	s.Missing[field] = why
}

func askMaxClients(ctx context.Context, c *redis.Client, s *history.Server) {
	limit, err := c.ConfigGet(ctx, "maxclients").Result()
	if err == nil {
		s.MaxClients, err = strconv.ParseInt(limit["maxclients"], 10, 64)
	}
	if err != nil {
		s.Missing["maxclients"] += ", and CONFIG GET: " + err.Error()
		return
	}
	delete(s.Missing, "maxclients")
}

// ReadInfo returns the fields of some sections of INFO. It asks for them one by
// one, in one round trip: servers before Redis 7 take a single section per command.
func ReadInfo(ctx context.Context, c *redis.Client, sections ...string) (map[string]string, error) {
	answers, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, section := range sections {
			p.Info(ctx, section)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	info := map[string]string{}
	for _, a := range answers {
		for line := range strings.Lines(a.(*redis.StringCmd).Val()) {
			if field, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[field] = value
			}
		}
	}
	return info, nil
}

// ownCommand says whether a command is the harness's or belongs to a
// connection's handshake: it would dilute what the swarm's commands took.
func ownCommand(name string) bool {
	base, _, _ := strings.Cut(name, "|")
	switch base {
	case "info", "config", "client", "hello", "ping", "command", "auth", "select", "scan", "monitor", "reset", "object", "pttl", "mget":
		return true
	}
	return false
}

// commandStat reads "calls=12,usec=34,usec_per_call=2.83,...".
func commandStat(value string) (calls, usec int64) {
	for part := range strings.SplitSeq(value, ",") {
		switch name, v, _ := strings.Cut(part, "="); name {
		case "calls":
			calls, _ = strconv.ParseInt(v, 10, 64)
		case "usec":
			usec, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	return calls, usec
}
