package sampler

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// readServer reads the server's counters. What it does not say (an old Redis, a
// managed service that hides things, a user who may not run CONFIG) is missing in
// the answer by name; the error is for a server that says nothing at all.
func (w *Sampler) readServer(ctx context.Context, c *redis.Client) (*history.Server, error) {
	ours, opened := w.own.far()
	sections := []string{"server", "clients", "stats", "commandstats", "cpu", "errorstats"}
	standing := w.due(&w.standing, standingEvery)
	if standing {
		sections = append(sections, standingSections...)
	}
	info, err := ReadInfo(ctx, c, sections...)
	if err != nil {
		return nil, err
	}
	s, stats := counters(info)
	w.ledger.enter(s, stats, ours, opened)
	if standing || w.stood == nil {
		w.stood = info
	}
	stand(s, info, w.stood)
	if _, missing := s.Missing["maxclients"]; missing { // not in INFO before Redis 6.2
		askMaxClients(ctx, c, s)
	}
	return s, nil
}

// counters takes INFO apart. A field that is not there, or is no number, is missing.
func counters(info map[string]string) (*history.Server, map[string]commandStat) {
	s := &history.Server{RunID: info["run_id"]}
	for field, to := range map[string]*int64{
		"connected_clients": &s.Connected, "maxclients": &s.MaxClients, "rejected_connections": &s.Rejected,
		"total_connections_received": &s.Received, "total_commands_processed": &s.Commands,
		"total_error_replies": &s.ErrorReplies,
	} {
		number(s, info, field, to)
	}
	s.CPU = cpuSeconds(info["used_cpu_user"]) + cpuSeconds(info["used_cpu_sys"])
	stats := map[string]commandStat{}
	for field, value := range info {
		if name, ok := strings.CutPrefix(field, "cmdstat_"); ok {
			stats[name] = parseCommandStat(value)
		}
	}
	if _, missing := s.Missing["total_error_replies"]; !missing { // both came with Redis 6.2
		s.Replies = errorStats(info)
	}
	if len(stats) == 0 { // the INFO that asked for it would be in it
		lack(s, "commandstats", "INFO commandstats is empty")
	}
	return s, stats
}

// cpuSeconds reads "12.345678"; 0 for what is no number.
func cpuSeconds(text string) time.Duration {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || s < 0 || s > 1e9 {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// standingSections of INFO are read once a second, after those that are read with every
// sample: how many commands are lockjam's own depends on what comes first.
var standingSections = []string{"memory", "persistence", "replication"}

const standingEvery = time.Second

// stand takes apart what INFO says now, and what it said of the standing sections last.
func stand(s *history.Server, now, last map[string]string) {
	for field, to := range map[string]*int64{"used_memory": &s.UsedMemory, "maxmemory": &s.MaxMemory} {
		number(s, last, field, to)
	}
	number(s, now, "evicted_keys", &s.Evicted)
	for field, to := range map[string]*string{
		"rdb_last_bgsave_status": &s.BgsaveStatus, "aof_last_write_status": &s.AOFStatus, "role": &s.Role,
	} {
		if *to = last[field]; *to == "" {
			lack(s, field, "INFO does not say it")
		}
	}
	if s.Role == "slave" {
		s.Role = history.Replica
	}
}

// number reads a field of INFO. One that is not there, or is no number, is missing.
func number(s *history.Server, info map[string]string, field string, to *int64) {
	n, err := strconv.ParseInt(info[field], 10, 64)
	if err != nil {
		lack(s, field, "INFO does not say it")
		return
	}
	*to = n
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

// commandStat is how often a command was called since the server's start, and how
// long it took.
type commandStat struct{ calls, usec int64 }

// parseCommandStat reads "calls=12,usec=34,usec_per_call=2.83,...".
func parseCommandStat(value string) (s commandStat) {
	for part := range strings.SplitSeq(value, ",") {
		switch name, v, _ := strings.Cut(part, "="); name {
		case "calls":
			s.calls, _ = strconv.ParseInt(v, 10, 64)
		case "usec":
			s.usec, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	return s
}

// errorStats reads "errorstat_OOM:count=12". A server without error replies has none.
func errorStats(info map[string]string) history.Replies {
	counts := map[string]int64{}
	for field, value := range info {
		prefix, ok := strings.CutPrefix(field, "errorstat_")
		count, isCount := strings.CutPrefix(value, "count=")
		if n, err := strconv.ParseInt(count, 10, 64); ok && isCount && err == nil {
			counts[prefix] = n
		}
	}
	replies := history.Replies{}
	for _, prefix := range slices.Sorted(maps.Keys(counts)) {
		replies.Add(prefix, counts[prefix], "")
	}
	return replies
}

// noWork reports whether a command does nothing for anybody: INFO, which only those
// that watching asks for, and what connections say of themselves when they are opened.
// They are short, and would make the mean of the others look better than it is. DEBUG
// is what a swarm has for handshakes that take long, which Redis counts nowhere.
func noWork(name string) bool {
	base, _, _ := strings.Cut(name, "|")
	switch base {
	case "info", "hello", "auth", "command", "monitor", "reset", "debug":
		return true
	}
	return name == "client|setname" || name == "client|setinfo"
}

// ledger takes what the watching itself causes out of a server's counters, from
// reading to reading.
//
// commandstats has the time that all calls of a command took together. Where we
// run a command that the application runs too, our calls are given a share of the
// time since the last reading that is in proportion to their number: an MGET of
// theirs that takes longer than ours counts for too little, and a shorter one for
// too much. A command of ours that ran between our look at our own count and the
// server's at its own (the canary's, MONITOR's) is theirs until the next reading.
type ledger struct {
	runID  string
	before int64 // what we had run when this server was first connected to
	ours   tab   // at the last reading
	was    map[string]commandStat
	calls  int64
	spent  time.Duration

	told    history.Replies // error replies, as the server had them at the last reading
	toldAll int64
	replies history.Replies // without ours
	all     int64
}

// infoSections is how many of a reading's INFOs the server has counted when it
// tells how many commands it has processed: the sections before that one.
const infoSections = 2

func (l *ledger) enter(s *history.Server, stats map[string]commandStat, ours, opened tab) {
	if s.RunID != l.runID {
		*l = ledger{runID: s.RunID, before: opened.total, ours: opened}
	}
	s.Own = ours.total - l.before + infoSections
	for name, now := range stats {
		if noWork(name) {
			continue
		}
		was := l.was[name]
		if now.calls < was.calls { // CONFIG RESETSTAT
			was = commandStat{}
		}
		calls, usec := now.calls-was.calls, max(now.usec-was.usec, 0)
		if theirs := calls - (ours.calls[name] - l.ours.calls[name]); theirs > 0 {
			l.calls += theirs
			share := float64(theirs) / float64(calls)
			l.spent += time.Duration(float64(usec) * min(share, 1) * float64(time.Microsecond))
		}
	}
	l.errors(s, ours.errors)
	l.ours, l.was = ours, stats
	s.Calls, s.CommandTime = l.calls, l.spent
}

// errors takes our own error replies out of the server's count of them.
func (l *ledger) errors(s *history.Server, ours map[string]int64) {
	if s.Replies == nil {
		return
	}
	if s.ErrorReplies < l.toldAll { // CONFIG RESETSTAT
		l.told, l.toldAll = nil, 0
	}
	replies, own := maps.Clone(l.replies), int64(0)
	if replies == nil {
		replies = history.Replies{}
	}
	for _, prefix := range slices.Sorted(maps.Keys(s.Replies)) {
		mine := ours[prefix] - l.ours.errors[prefix]
		own += mine
		if theirs := s.Replies[prefix].Count - l.told[prefix].Count - mine; theirs > 0 {
			replies.Add(prefix, theirs, "")
		}
	}
	l.all += max(s.ErrorReplies-l.toldAll-own, 0)
	l.told, l.toldAll, l.replies = s.Replies, s.ErrorReplies, replies
	s.Replies, s.ErrorReplies = replies, l.all
}
