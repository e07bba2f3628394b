package harness

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
)

// census reads what every worker is doing, then asks Redis who owns which lock
// and which connections there are.
func (a *armRun) census(ctx context.Context, c *redis.Client) history.Census {
	progress := func() history.Progress {
		s := a.swarm.Snapshot()
		p := history.Progress{Grants: s.Grants, Releases: s.Releases, Attempts: s.Dials + s.Commands}
		return p
	}
	begun := a.elapsed()
	got := history.Census{Before: progress(), Workers: a.swarm.Census()}
	if err := a.askRedis(ctx, c, &got); err != nil {
		got.Error = err.Error()
	}
	got.After = progress()
	got.At = a.elapsed()
	got.Took = got.At - begun
	return got
}

func (a *armRun) askRedis(ctx context.Context, c *redis.Client, into *history.Census) error {
	locks := a.swarm.Locks()
	var values *redis.SliceCmd
	var list *redis.StringCmd
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		values, list = p.MGet(ctx, locks...), p.ClientList(ctx)
		return nil
	}); err != nil {
		return err
	}
	into.Locks = map[string]string{}
	for i, v := range values.Val() {
		if token, ok := v.(string); ok {
			into.Locks[locks[i]] = token
		}
	}
	into.Clients = map[string]int64{}
	// Counted, and not by their names: a user may be allowed to list clients and not to
	// name his own.
	into.Slots = int64(a.sc.Server.MaxClients - server.ControlConnections)
	for line := range strings.Lines(list.Val()) {
		if name := clientField(line, "name"); !strings.HasPrefix(name, "lockjam-control-") {
			into.Clients[name]++
		}
	}
	return nil
}
