package observe

import (
	"slices"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/text"
)

// Reading is what is seen in one second. Rates are over that second; a figure that
// was not read is null.
type Reading struct {
	AtMS         float64  `json:"at_ms"`
	Error        string   `json:"error,omitempty"`   // why the server said nothing
	UnansweredMS float64  `json:"unanswered_ms"`     // without an answer; 0 while there are some, within 2 s
	UnknownMS    float64  `json:"unknown_ms"`        // of the server's counters so far, in gaps of 2 s and more
	Unknown      []Gap    `json:"unknown,omitempty"` // those gaps, at the end of the watch
	Connected    *int64   `json:"connected_clients"`
	MaxClients   *int64   `json:"maxclients"`
	RejectedPerS *float64 `json:"rejected_per_s"`
	CommandsPerS *float64 `json:"commands_per_s"` // without our own
	Standing

	// Error replies by prefix, of those prefixes that had any, without our own; null before
	// Redis 6.2, which counts none.
	ErrorRepliesPerS map[string]float64 `json:"error_replies_per_s"`
	// The lock keys, of the last time that SCAN came through the whole keyspace. Until
	// it has, and where it has found more since, it is those that were found so far.
	LockKeys        *int64          `json:"lock_keys"`
	LockKeysPartial bool            `json:"lock_keys_partial"`
	LockKeysAsked   *int64          `json:"lock_keys_asked"` // for their TTL and idle time: the first so many
	NoTTL           *int64          `json:"lock_keys_without_ttl"`
	OldestIdleS     *float64        `json:"oldest_idle_s"`
	Monitor         *MonitorReading `json:"monitor"`
	Canary          *CanaryReading  `json:"canary"`
	Signals         []SignalReading `json:"signals"`
}

// Standing is the state of the server's memory, persistence and replication, as of the
// last second; null where INFO does not say it.
type Standing struct {
	EvictedPerS  *float64 `json:"evicted_per_s"`
	UsedMemory   *int64   `json:"used_memory"` // bytes
	MaxMemory    *int64   `json:"maxmemory"`   // bytes; 0: no limit
	BgsaveStatus *string  `json:"rdb_last_bgsave_status"`
	AOFStatus    *string  `json:"aof_last_write_status"`
	Role         *string  `json:"role"`         // master or replica
	RoleBefore   *string  `json:"role_before"`  // the last change; null if there was none
	RoleChanges  int      `json:"role_changes"` // since the watch began
}

// MonitorReading is the last burst of MONITOR.
type MonitorReading struct {
	AttemptsPerS  float64 `json:"attempts_per_s"` // at setting a lock
	ReleasesPerS  float64 `json:"releases_per_s"`
	StuckLock     string  `json:"stuck_lock,omitempty"` // tried most, and never released in the burst
	StuckAttempts int64   `json:"stuck_attempts"`
	Error         string  `json:"error,omitempty"`
}

// CanaryReading is what became of the canary's dials: of the last one, and of all.
type CanaryReading struct {
	Last        string `json:"last"` // admitted, refused, cut, silent or unreachable; "" before the first
	Dials       int64  `json:"dials"`
	Admitted    int64  `json:"admitted"`
	Refused     int64  `json:"refused"`
	Cut         int64  `json:"cut"`
	Silent      int64  `json:"silent"`
	Unreachable int64  `json:"unreachable"`
	Words       string `json:"words,omitempty"` // the server's, to the last that it refused
	Error       string `json:"error,omitempty"` // why there is no canary
}

// SignalReading is what one signal says. One that is not available is neither
// firing nor silent, though it may have fired before.
type SignalReading struct {
	Name        string   `json:"name"`
	Claim       string   `json:"claim,omitempty"`
	Unavailable string   `json:"unavailable,omitempty"` // why it says nothing here, or now
	Firing      *bool    `json:"firing"`                // null if it is not available
	FiredAtMS   *float64 `json:"fired_at_ms"`           // when it fired first; null if it never did
	FiringMS    float64  `json:"firing_ms"`             // how long in total
	Baseline    *Stretch `json:"baseline,omitempty"`    // of what it compares; absent without one
	UnknownMS   *float64 `json:"unknown_ms"`            // of what it reads, so far; null if it was never known
	Unknown     []Gap    `json:"unknown,omitempty"`     // at the end of the watch, where not as the server's
	Waiting     bool     `json:"-"`                     // it is unavailable for want of a baseline
}

// Stretch is a stretch of time.
type Stretch struct {
	FromMS float64 `json:"from_ms"`
	ToMS   float64 `json:"to_ms"`
}

// counters reads the newest sample, and how its counters grew within a second.
func (s *Reading) counters(samples []history.Sample, now time.Duration) {
	var recent []history.Sample
	for _, sample := range samples {
		if sample.At >= now-1100*time.Millisecond {
			recent = append(recent, sample)
		}
	}
	var first, last *history.Sample
	for i, sample := range recent {
		if sample.Server == nil {
			continue
		}
		if first == nil || first.Server.RunID != sample.Server.RunID {
			first = &recent[i]
		}
		last = &recent[i]
	}
	if last == nil {
		if s.Error == "" && len(recent) > 0 {
			s.Error = recent[len(recent)-1].Error
		}
		return
	}
	had := func(field string) bool { _, missing := last.Server.Missing[field]; return !missing }
	if had("connected_clients") {
		s.Connected = &last.Server.Connected
	}
	if had("maxclients") {
		s.MaxClients = &last.Server.MaxClients
	}
	over := (last.At - first.At).Seconds()
	grew := func(field string, from, to int64) *float64 {
		if !had(field) || over <= 0 {
			return nil
		}
		v := max(text.Round(float64(to-from)/over, 1), 0)
		return &v
	}
	s.stands(last.Server, had)
	s.EvictedPerS = grew("evicted_keys", first.Server.Evicted, last.Server.Evicted)
	s.RejectedPerS = grew("rejected_connections", first.Server.Rejected, last.Server.Rejected)
	s.CommandsPerS = grew("total_commands_processed", first.Server.Commands-first.Server.Own,
		last.Server.Commands-last.Server.Own)
	if last.Server.Replies != nil {
		s.ErrorRepliesPerS = repliesPerSecond(first.Server.Replies, last.Server.Replies, over)
	}
}

// stands reads the state of memory, persistence and replication.
func (s *Reading) stands(now *history.Server, had func(field string) bool) {
	for field, number := range map[string]struct {
		to   **int64
		from *int64
	}{"used_memory": {&s.UsedMemory, &now.UsedMemory}, "maxmemory": {&s.MaxMemory, &now.MaxMemory}} {
		if had(field) {
			*number.to = number.from
		}
	}
	for field, word := range map[string]struct {
		to   **string
		from *string
	}{
		"rdb_last_bgsave_status": {&s.BgsaveStatus, &now.BgsaveStatus},
		"aof_last_write_status":  {&s.AOFStatus, &now.AOFStatus}, "role": {&s.Role, &now.Role},
	} {
		if had(field) {
			*word.to = word.from
		}
	}
}

// looked is how long what is looked at once a second is shown.
const looked = 2 * time.Second

// locks reads the newest look at the lock keys.
func (s *Reading) locks(samples []history.Sample, now time.Duration) {
	var newest, whole *history.Locks
	for i := range samples {
		k := samples[i].Locks
		if k == nil {
			continue
		}
		newest = nil
		if k.Error == "" && samples[i].At >= now-looked {
			newest = k
		}
		if k.Error != "" {
			whole = nil
		} else if !k.Partial {
			whole = k
		}
	}
	if newest == nil {
		return
	}
	k := newest
	if k.Partial && whole != nil && whole.Keys >= k.Keys {
		k = whole
	}
	s.LockKeys, s.LockKeysPartial, s.LockKeysAsked = &k.Keys, k.Partial, &k.Asked
	if k.Asked > 0 || k.Keys == 0 && !k.Partial {
		s.NoTTL = &k.NoTTL
	}
	if k.Asked > 0 && k.IdleError == "" {
		idle := k.OldestIdle.Seconds()
		s.OldestIdleS = &idle
	}
}

// monitor reads the newest burst of MONITOR.
func (s *Reading) monitor(samples []history.Sample, now time.Duration) {
	for _, sample := range slices.Backward(samples) {
		m := sample.Monitor
		if sample.At < now-looked {
			return
		}
		if m == nil {
			continue
		}
		s.Monitor = &MonitorReading{StuckLock: m.StuckLock, StuckAttempts: m.Stuck, Error: m.Error}
		if took := (m.To - m.From).Seconds(); took > 0 {
			s.Monitor.AttemptsPerS, s.Monitor.ReleasesPerS = text.Round(float64(m.Attempts)/took, 1),
				text.Round(float64(m.Releases)/took, 1)
		}
		return
	}
}

// canary reads the canary's counts, and what became of its last dial.
func (s *Reading) canary(samples []history.Sample) {
	var before history.Canary
	for _, sample := range samples {
		c := sample.Canary
		if c == nil {
			continue
		}
		if s.Canary == nil {
			s.Canary = &CanaryReading{}
		}
		for _, fate := range []struct {
			name     string
			was, now int64
		}{
			{"admitted", before.Admitted, c.Admitted}, {"refused", before.Refused, c.Refused},
			{"cut", before.Cut, c.Cut},
			{"silent", before.Silent, c.Silent}, {"unreachable", before.Unreachable, c.Unreachable},
		} {
			if fate.now > fate.was {
				s.Canary.Last = fate.name
			}
		}
		before = *c
	}
	if c := s.Canary; c != nil {
		*c = CanaryReading{c.Last, before.Dials, before.Admitted, before.Refused, before.Cut, before.Silent,
			before.Unreachable, before.LastRefusal, before.Error}
	}
}

// Fired lists the signals that fired at any time.
func (s Reading) Fired() []string {
	var names []string
	for _, signal := range s.Signals {
		if signal.FiredAtMS != nil {
			names = append(names, signal.Name)
		}
	}
	return names
}

// repliesPerSecond is by how much error replies grew between two readings, so many seconds
// apart.
func repliesPerSecond(first, last history.Replies, over float64) map[string]float64 {
	rates := map[string]float64{}
	for prefix, r := range last.Since(first) {
		if over > 0 {
			rates[prefix] = text.Round(float64(r.Count)/over, 1)
		}
	}
	return rates
}
