package history

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Replies are error replies of Redis, counted by prefix: the first word of the reply, such as OOM or NOPERM. A nil map was not recorded; an empty one is of a server or a swarm without error replies.
type Replies map[string]Reply

// Reply is what is known of the error replies with one prefix.
type Reply struct {
	Count int64  `json:"count"`
	First string `json:"first,omitempty"` // its text, as ScrubReply leaves it; "" where only the count is known
	Last  string `json:"last,omitempty"`
}

// OtherReplies stands for every error reply whose first word is no prefix, and for those whose prefix is one too many to be counted by itself.
const OtherReplies = "other"

// knownPrefixes are those of Redis itself (server.c, createSharedObjects, and the modules that come with it). Each is always counted by itself.
var knownPrefixes = []string{
	"ASK", "BUSY", "BUSYGROUP", "BUSYKEY", "CLUSTERDOWN", "CROSSSLOT", "DENIED", "ERR", "EXECABORT", "LOADING",
	"MASTERDOWN", "MISCONF", "MOVED", "NOAUTH", "NOGROUP", "NOPERM", "NOPROTO", "NOREPLICAS", "NOSCRIPT", "NOTBUSY",
	"OOM", "READONLY", "REDIRECT", "TRYAGAIN", "UNBLOCKED", "UNKILLABLE", "WRONGPASS", "WRONGTYPE",
}

// Bounds on what an error reply may take up in a journal: a script may answer with any prefix, and with a text of any length.
const (
	maxOtherPrefixes = 8   // beside the known ones
	maxPrefix        = 32  // bytes
	maxReplyText     = 200 // bytes
)

// Add counts n error replies with a prefix that ReplyPrefix or INFO errorstats gave; text is that of one of them, scrubbed, or "".
func (r Replies) Add(prefix string, n int64, text string) {
	if _, there := r[prefix]; !there && !r.room(prefix) {
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

// room reports whether a prefix that was not seen before is counted by itself.
func (r Replies) room(prefix string) bool {
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

// Total is the number of error replies of all prefixes.
func (r Replies) Total() (n int64) {
	for _, reply := range r {
		n += reply.Count
	}
	return n
}

// Since is what has been added to r after it was as before. First is the first text that was ever seen.
func (r Replies) Since(before Replies) Replies {
	grown := Replies{}
	for prefix, reply := range r {
		if reply.Count -= before[prefix].Count; reply.Count > 0 {
			grown[prefix] = reply
		}
	}
	return grown
}

// Prefixes are those of which there is at least one reply, the most frequent first and then in order of name.
func (r Replies) Prefixes() []string {
	return slices.SortedFunc(maps.Keys(r), func(a, b string) int {
		if d := r[b].Count - r[a].Count; d != 0 {
			return int(max(min(d, 1), -1))
		}
		return strings.Compare(a, b)
	})
}

// ReplyPrefix is the prefix of an error reply's text. Before Redis 7.0 the error of a command within a script is wrapped: "ERR Error running script (call to f_...): @user_script:1: @user_script: 1: -OOM command not allowed ...". It is OOM all the same.
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

// echo is where Redis begins to repeat the arguments of a command that it does not know (server.c, processCommand): they may be a password.
const echo = "with args beginning with"

// ScrubReply is the text of an error reply as it may be kept: one line of printable UTF-8 of at most 200 bytes, without a command's arguments.
func ScrubReply(text string) string {
	text, _, _ = strings.Cut(text, echo)
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
