package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Within bounds a request to a server. The context's cause names the limit, and is a
// context.DeadlineExceeded.
func Within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, overdue(limit))
}

// overdue reports that there was no answer within that time.
type overdue time.Duration

func (o overdue) Error() string        { return fmt.Sprintf("timed out after %v", time.Duration(o)) }
func (o overdue) Is(target error) bool { return target == context.DeadlineExceeded }

// answerLimit bounds a command on Admin whose context has no deadline. Callers that expect the
// server to be silent for longer set a deadline of their own.
const answerLimit = 30 * time.Second

// bounded is a hook for a client with one connection and without timeouts. A command ends with its
// context, and the connection is then closed, because a late answer would be taken for the answer
// to the next command. A command that still waits for its turn ends without closing the connection.
type bounded struct {
	connection net.Conn
	limit      time.Duration // of commands whose context has no deadline; 0: none
	turn       chan struct{} // capacity 1: held by the command in flight
}

// EndWithContext returns a hook for a client that has only this connection: a command ends with its
// context, and the connection with it.
func EndWithContext(connection net.Conn) redis.Hook { return newBounded(connection, 0) }

func newBounded(connection net.Conn, limit time.Duration) *bounded {
	return &bounded{connection: connection, limit: limit, turn: make(chan struct{}, 1)}
}

// inTurn marks the context of the command in flight: go-redis sends a connection's handshake as
// part of the first command, through the same hooks.
type inTurn struct{}

func (b *bounded) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *bounded) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return b.do(ctx, []redis.Cmder{cmd}, func(ctx context.Context) error { return next(ctx, cmd) })
	}
}

func (b *bounded) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return b.do(ctx, cmds, func(ctx context.Context) error { return next(ctx, cmds) })
	}
}

func (b *bounded) do(ctx context.Context, cmds []redis.Cmder, send func(context.Context) error) error {
	if ctx.Value(inTurn{}) != nil {
		return send(ctx)
	}
	if _, set := ctx.Deadline(); !set && b.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = Within(ctx, b.limit)
		defer cancel()
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil { // select may have taken the turn although the context has ended
		err := unanswered(ctx, cmds)
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = b.connection.Close() })
	err := send(context.WithValue(ctx, inTurn{}, true))
	if stop() || err == nil {
		return err
	}
	err = fmt.Errorf("%w: %w", ErrControlLost, unanswered(ctx, cmds))
	for _, cmd := range cmds {
		var answer redis.Error
		if cmd.Err() != nil && !errors.As(cmd.Err(), &answer) {
			cmd.SetErr(err)
		}
	}
	return err
}

// unanswered returns the error of a command whose answer is no longer waited for.
func unanswered(ctx context.Context, cmds []redis.Cmder) error {
	return fmt.Errorf("no answer to %s: %w", commandName(cmds[0]), context.Cause(ctx))
}

// withSubcommand lists the commands whose name has two words.
var withSubcommand = []string{"acl", "client", "command", "config", "object", "sentinel"}

// commandName returns the command without its arguments, which may be secret.
func commandName(cmd redis.Cmder) string {
	name := cmd.Name()
	if args := cmd.Args(); len(args) > 1 && slices.Contains(withSubcommand, name) {
		name = fmt.Sprintf("%s %v", name, args[1])
	}
	return strings.ToUpper(name)
}
