package history

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Replies counts the error replies of Redis by prefix: the first word of the reply, such as OOM or
// NOPERM. nil means not recorded; empty means no error replies.
type Replies map[string]Reply

// Reply summarizes the error replies with one prefix.
type Reply struct {
	Count int64  `json:"count"`
	First string `json:"first,omitempty"` // text, as returned by ScrubReply; "" where only the count is known
	Last  string `json:"last,omitempty"`
}

// OtherReplies is the key of error replies whose first word is not a prefix, and of those whose
// prefix exceeds the number of prefixes counted individually.
const OtherReplies = "other"

// knownPrefixes are those of Redis itself (server.c, createSharedObjects, and the bundled modules).
// Each is always counted individually.
var knownPrefixes = []string{
	"ASK", "BUSY", "BUSYGROUP", "BUSYKEY", "CLUSTERDOWN", "CROSSSLOT", "DENIED", "ERR", "EXECABORT", "LOADING",
	"MASTERDOWN", "MISCONF", "MOVED", "NOAUTH", "NOGROUP", "NOPERM", "NOPROTO", "NOREPLICAS", "NOSCRIPT", "NOTBUSY",
	"OOM", "READONLY", "REDIRECT", "TRYAGAIN", "UNBLOCKED", "UNKILLABLE", "WRONGPASS", "WRONGTYPE",
}

// Bounds on the space of error replies in a journal: a script may answer with any prefix and with
// text of any length.
const (
	maxOtherPrefixes = 8   // besides the known ones
	maxPrefix        = 32  // bytes
	maxReplyText     = 200 // bytes
)

// Add counts n error replies with a prefix from ReplyPrefix or INFO errorstats. text is the
// scrubbed text of one of them, or "".
func (r Replies) Add(prefix string, n int64, text string) {
	if _, there := r[prefix]; !there && !r.hasRoom(prefix) {
		prefix = OtherReplies
	}
	reply := r[prefix]
	if reply.First == "" {
		reply.First = text
	}
	if text != "" {
		reply.Last = text
	}
	reply.Count += n
	r[prefix] = reply
}

// hasRoom reports whether a new prefix is counted individually.
func (r Replies) hasRoom(prefix string) bool {
	if !isPrefix(prefix) {
		return false
	}
	if slices.Contains(knownPrefixes, prefix) {
		return true
	}
	others := 0
	for p := range r {
		if p != OtherReplies && !slices.Contains(knownPrefixes, p) {
			others++
		}
	}
	return others < maxOtherPrefixes
}

// Total returns the number of error replies of all prefixes.
func (r Replies) Total() (n int64) {
	for _, reply := range r {
		n += reply.Count
	}
	return n
}

// Since returns the increase of r over an earlier state. First is the first text ever seen.
func (r Replies) Since(before Replies) Replies {
	grown := Replies{}
	for prefix, reply := range r {
		if reply.Count -= before[prefix].Count; reply.Count > 0 {
			grown[prefix] = reply
		}
	}
	return grown
}

// Prefixes returns the prefixes in descending order of count, then by name.
func (r Replies) Prefixes() []string {
	return slices.SortedFunc(maps.Keys(r), func(a, b string) int {
		if d := r[b].Count - r[a].Count; d != 0 {
			return int(max(min(d, 1), -1))
		}
		return strings.Compare(a, b)
	})
}

// ReplyPrefix returns the prefix of an error reply's text. Before Redis 7.0 the error of a command
// within a script is wrapped: "ERR Error running script (call to f_...): @user_script:1:
// @user_script: 1: -OOM command not allowed ...". Its prefix is OOM all the same.
func ReplyPrefix(text string) string {
	if strings.HasPrefix(text, "ERR Error running script") {
		if _, inner, ok := strings.Cut(text, ": -"); ok {
			text = inner
		}
	}
	word, _, _ := strings.Cut(text, " ")
	if word = strings.TrimRightFunc(word, unicode.IsSpace); isPrefix(word) {
		return word
	}
	return OtherReplies
}

// isPrefix reports whether a word looks like the prefix of an error reply.
func isPrefix(word string) bool {
	if word == "" || len(word) > maxPrefix || word[0] < 'A' || word[0] > 'Z' {
		return false
	}
	return !strings.ContainsFunc(word, func(c rune) bool {
		return (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_'
	})
}

// argsEcho begins the arguments that Redis repeats in its reply to an unknown command (server.c,
// processCommand): they may include a password.
const argsEcho = "with args beginning with"

// ScrubReply returns the text of an error reply in the form in which it is kept: one line of
// printable UTF-8 of at most 200 bytes, without the arguments of a command.
func ScrubReply(text string) string {
	text, _, _ = strings.Cut(text, argsEcho)
	text = strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
	text = strings.TrimRight(strings.TrimSpace(text), ",")
	if len(text) <= maxReplyText {
		return text
	}
	cut := maxReplyText - len("...")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}
