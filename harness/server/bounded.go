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

// Within bounds a question to a server. Its cause says after how long the answer was given up, and is a
// context.DeadlineExceeded.
func Within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, late(limit))
}

// late says that there was no answer within that time.
type late time.Duration

func (l late) Error() string        { return fmt.Sprintf("none within %v", time.Duration(l)) }
func (l late) Is(target error) bool { return target == context.DeadlineExceeded }

// answerLimit bounds a command of the Admin whose context has no deadline. Callers that wait for a
// server which is silent on purpose set a longer one.
const answerLimit = 30 * time.Second

// bounded is a hook of a client with one connection and without timeouts: a command ends with its context, and then the
// connection is closed, since a late answer would be taken for that to the next command. What waits for its turn behind
// another command ends without harm.
type bounded struct {
	connection net.Conn
	limit      time.Duration // of commands whose context has no deadline; 0: none
	turn       chan struct{} // has room for the one command under way
}

// EndWithContext is for a client with the one connection that is given: its commands end with their context, and the
// connection with them.
func EndWithContext(connection net.Conn) redis.Hook { return newBounded(connection, 0) }

func newBounded(connection net.Conn, limit time.Duration) *bounded {
	return &bounded{connection: connection, limit: limit, turn: make(chan struct{}, 1)}
}

// inTurn marks the context of a command whose turn it is: go-redis sends the handshake of a connection in the course of
// the first command, through the same hooks.
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
	if ctx.Err() != nil { // both may be possible at once
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

// unanswered says of which command the answer did not come, and why it is not waited for any more.
func unanswered(ctx context.Context, cmds []redis.Cmder) error {
	return fmt.Errorf("no answer to %s: %w", commandName(cmds[0]), context.Cause(ctx))
}

// withSubcommand are the commands whose name has two words.
var withSubcommand = []string{"acl", "client", "command", "config", "object", "sentinel"}

// commandName leaves out the arguments, which may be secret.
func commandName(cmd redis.Cmder) string {
	name := cmd.Name()
	if args := cmd.Args(); len(args) > 1 && slices.Contains(withSubcommand, name) {
		name = fmt.Sprintf("%s %v", name, args[1])
	}
	return strings.ToUpper(name)
}
