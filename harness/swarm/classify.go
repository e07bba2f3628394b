package swarm

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// replyOf is the first word of an error reply: OOM, MISCONF, READONLY; ERR where it has
// none of that form (RESP, "Simple errors").
func replyOf(err error) string {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return "ERR"
	}
	if prefix := history.ReplyPrefix(answer.Error()); prefix != history.OtherReplies {
		return prefix
	}
	return "ERR"
}

// Classify tells why a command failed. Whether a full server refused the
// connection is not in the error (go-redis says "broken pipe", "connection
// reset by peer" or "EOF"): refused is what the connection's watcher saw while
// the command ran.
func Classify(err error, refused bool) history.Class {
	var netErr net.Error
	var answer redis.Error
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return history.None
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return history.PoolTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return history.Unreachable
	case refused:
		return history.Refused
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return history.Deadline
	case errors.Is(err, redis.TxFailedErr):
		return history.Conflict
	case errors.As(err, &answer):
		return history.Rejected
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNABORTED):
		return history.Reset
	default:
		return history.Other
	}
}
