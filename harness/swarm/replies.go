package swarm

import (
	"maps"
	"strings"
	"sync"

	"github.com/lockjam/lockjam/harness/history"
)

// replies counts the error replies that the workers' code was given, by prefix. What
// the client library deals with by itself is none: the NOSCRIPT of a script's first
// EVALSHA, the MOVED of a command that it sends on. Of a pipeline with several errors
// it is the first, as it is for the library's caller.
type replies struct {
	secret string // a password, which no text may have in it; "" for none

	mu  sync.Mutex
	all history.Replies
}

// add counts an error that holds an error reply. Without replies it does nothing.
func (r *replies) add(err error) {
	text, ok := errorReplyText(err)
	if r == nil || !ok {
		return
	}
	prefix := history.ReplyPrefix(text)
	if r.secret != "" {
		text = strings.ReplaceAll(text, r.secret, "***")
	}
	text = history.ScrubReply(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = history.Replies{}
	}
	r.all.Add(prefix, 1, text)
}

// counted returns a copy of what has been counted so far. It is never nil.
func (r *replies) counted() history.Replies {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		return history.Replies{}
	}
	return maps.Clone(r.all)
}

// replyOf is the first word of an error reply: OOM, MISCONF, READONLY; ERR where it has
// none of that form (RESP, "Simple errors").
func replyOf(err error) string {
	answer, ok := errorReplyText(err)
	if !ok {
		return "ERR"
	}
	if prefix := history.ReplyPrefix(answer); prefix != history.OtherReplies {
		return prefix
	}
	return "ERR"
}
