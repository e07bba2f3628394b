package sampler

import (
	"testing"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// The server's own count of error replies is read by prefix, and what the watching is
// answered is taken out of it: here the canary, which is not logged in, and a question of
// the connection that is read over.
func TestErrorRepliesAreReadWithoutOurOwn(t *testing.T) {
	s := startRedis(t, server.Config{})
	control := openControl(t, s.Endpoint())
	do(t, control.Admin, "CONFIG", "SET", "requirepass", "hunter2")
	w := watchOver(t, Config{CanaryEvery: Every / 10}, Connections{Client: control.Sampler, Dial: s.Endpoint().Dial})
	do(t, control.Admin, "SET", "text", "x")
	for range 7 {
		if err := control.Admin.LPush(t.Context(), "text", "y").Err(); err == nil {
			t.Fatal("LPUSH to a string was taken")
		}
	}
	for range 30 {
		_ = control.Sampler.Do(t.Context(), "LPUSH", "text", "y").Err()
	}
	got := w.answered(t, 10)
	last := got[len(got)-1]
	// A dial of the canary may be answered between our look at our own count and the
	// server's at its own.
	if last.Replies["WRONGTYPE"].Count != 7 || last.Replies["NOAUTH"].Count > 2 || last.ErrorReplies > 9 {
		t.Errorf("%+v, %d in all", last.Replies, last.ErrorReplies)
	}
	if counts := w.canary.counts(); counts.Admitted < 5 {
		t.Errorf("the canary was answered %d times", counts.Admitted)
	}
}

// Servers before Redis 6.2 do not count error replies.
func TestErrorRepliesOfAnOldServer(t *testing.T) {
	s, _ := counters(map[string]string{"run_id": "a"})
	new(ledger).enter(s, nil, tab{}, tab{})
	if _, missing := s.Missing["total_error_replies"]; !missing || s.Replies != nil {
		t.Errorf("%+v", s)
	}
}

// A restart and CONFIG RESETSTAT both begin the server's count again.
func TestLedgerOfErrorReplies(t *testing.T) {
	var l ledger
	read := func(run string, oom, all int64, own int64) *history.Server {
		s := &history.Server{RunID: run, Replies: history.Replies{"OOM": {Count: oom}}, ErrorReplies: all}
		l.enter(s, nil, tab{errors: map[string]int64{"OOM": own}}, tab{})
		return s
	}
	for i, c := range []struct {
		run                 string
		oom, all, own       int64
		wantOOM, wantErrors int64
	}{
		{"a", 5, 6, 1, 4, 5},
		{"a", 9, 10, 2, 7, 8},
		{"a", 3, 3, 2, 10, 11}, // CONFIG RESETSTAT
		{"b", 2, 2, 2, 0, 0},   // a restart
	} {
		s := read(c.run, c.oom, c.all, c.own)
		if s.Replies["OOM"].Count != c.wantOOM || s.ErrorReplies != c.wantErrors {
			t.Errorf("%d: %+v of %d, want %d of %d", i, s.Replies, s.ErrorReplies, c.wantOOM, c.wantErrors)
		}
	}
}
