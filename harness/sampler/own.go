package sampler

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
)

// tab is what the watching has run so far.
type tab struct {
	total int64
	// By the name that commandstats has, such as "client|list", and by its first
	// word as well: before Redis 7 there was no more to it.
	calls map[string]int64
	// Error replies, by prefix.
	errors map[string]int64
}

// own counts the commands that the watching itself causes. Without them a server
// where nothing else happens looks busy, and one that is idle looks as if work had
// stopped once there is less to look at.
type own struct {
	mu     sync.Mutex
	so     tab
	opened tab // as it was when the present connections were opened
}

// ran counts a command that the server has executed.
func (o *own) ran(words ...string) {
	name := strings.ToLower(words[0])
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.so.calls == nil {
		o.so.calls = map[string]int64{}
	}
	o.so.total++
	o.so.calls[name]++
	if len(words) > 1 {
		o.so.calls[name+"|"+strings.ToLower(words[1])]++
	}
}

// refused counts an error reply to a command, whether the server has executed it or not.
func (o *own) refused(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.so.errors == nil {
		o.so.errors = map[string]int64{}
	}
	o.so.errors[history.ReplyPrefix(text)]++
}

// reopened is told when the connections are new. The commands of their handshakes,
// some five, are not counted.
func (o *own) reopened() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened = o.so.copy()
}

// far is what has been run so far, and what had been when the connections were opened.
func (o *own) far() (now, opened tab) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.so.copy(), o.opened
}

func (t tab) copy() tab { return tab{t.total, maps.Clone(t.calls), maps.Clone(t.errors)} }

// counts makes a client's commands count.
func (o *own) counts(c *redis.Client) {
	if c != nil {
		c.AddHook(ownHook{o})
	}
}

// ownHook sees what a client was answered.
type ownHook struct{ own *own }

func (h ownHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h ownHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.count(cmd, err) // cmd.Err() is only set afterwards
		return err
	}
}

func (h ownHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			h.count(cmd, cmd.Err())
		}
		return err
	}
}

func (h ownHook) count(cmd redis.Cmder, err error) {
	var answer redis.Error
	if errors.As(err, &answer) && !errors.Is(err, redis.Nil) {
		h.own.refused(answer.Error())
	}
	if !executed(err) {
		return
	}
	switch name := cmd.Name(); name {
	case "client", "config", "object": // the ones with subcommands that are used here
		if sub, ok := cmd.Args()[1].(string); ok {
			h.own.ran(name, sub)
			return
		}
		fallthrough
	default:
		h.own.ran(name)
	}
}

// executed reports whether Redis counts a command with this outcome: one that it
// turned down before it ran is in none of its counts, and neither is one that it
// never got (server.c, processCommand).
func executed(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) {
		return true
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, code := range []string{"NOPERM", "NOAUTH", "LOADING", "BUSY", "MASTERDOWN", "ERR unknown",
		"ERR wrong number", "ERR max number of clients"} {
		if strings.HasPrefix(answer.Error(), code) {
			return false
		}
	}
	return true
}
