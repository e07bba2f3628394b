package history

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The texts are from Redis 7.0.15, and from 6.2 for the wrapped errors of scripts.
func TestReplyPrefix(t *testing.T) {
	const wrapped = "ERR Error running script (call to f_a0): @user_script:1: " +
		"@user_script: 1: -OOM command not allowed when x"
	for text, want := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'.":                 "OOM",
		"NOPERM User default has no permissions to run the 'evalsha' command":     "NOPERM",
		"MOVED 3999 127.0.0.1:6381":                                               "MOVED",
		"NOAUTH Authentication required.":                                         "NOAUTH",
		wrapped:                                                                   "OOM",
		"ERR Error running script (call to f_a0): @user_script:1: no prefix here": "ERR",
		"MASTERDOWN":                            "MASTERDOWN",
		"V2GONE x":                              "V2GONE",
		"hunter2":                               OtherReplies,
		"":                                      OtherReplies,
		" OOM":                                  OtherReplies,
		"Oops no":                               OtherReplies,
		strings.Repeat("A", maxPrefix+1) + " x": OtherReplies,
	} {
		if got := ReplyPrefix(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestScrubReply(t *testing.T) {
	for text, want := range map[string]string{
		"ERR unknown command 'AUTH', with args beginning with: 'hunter2' ": "ERR unknown command 'AUTH'",
		"ERR a\r\nb\x1b[31m\xffc":         "ERR a  b [31m c",
		"OOM " + strings.Repeat("é", 200): "OOM " + strings.Repeat("é", 96) + "...",
	} {
		if got := ScrubReply(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A server may answer with any prefix: only a few are counted individually, but those of Redis
// always are.
func TestRepliesAreBounded(t *testing.T) {
	r := Replies{}
	for i := range 100 {
		r.Add(fmt.Sprintf("MADEUP%d", i), 1, "text")
	}
	r.Add("OOM", 3, "first")
	r.Add("OOM", 2, "")
	r.Add("OOM", 1, "last")
	if len(r) != maxOtherPrefixes+2 || r[OtherReplies].Count != 92 || r.Total() != 106 {
		t.Errorf("%d prefixes, %+v", len(r), r)
	}
	if want := (Reply{6, "first", "last"}); r["OOM"] != want {
		t.Errorf("%+v, want %+v", r["OOM"], want)
	}
	if got := r.Prefixes()[:3]; !reflect.DeepEqual(got, []string{OtherReplies, "OOM", "MADEUP0"}) {
		t.Errorf("%q", got)
	}
	grown := r.Since(Replies{"OOM": {Count: 4}, OtherReplies: {Count: 92}})
	if _, there := grown[OtherReplies]; there || grown["OOM"].Count != 2 || grown["MADEUP0"].Count != 1 {
		t.Errorf("%+v", grown)
	}
}

// "Not recorded" differs from "none".
func TestOldJournalsHaveNoReplies(t *testing.T) {
	for _, s := range []Sample{
		{Server: &Server{}},
		{Server: &Server{Replies: Replies{}}, Swarm: Swarm{Replies: Replies{}}},
	} {
		line, err := encodeSample(s)
		if err != nil {
			t.Fatal(err)
		}
		recorded := s.Swarm.Replies != nil
		if strings.Contains(string(line), "replies") != recorded {
			t.Errorf("%s", line)
		}
	}
}
