package harness

import (
	"context"
	"errors"
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
	var list *redis.StringCmd
	var err error
	if into.Locks, err = a.askLocks(ctx, c, func(p redis.Pipeliner) { list = p.ClientList(ctx) }); err != nil {
		return err
	}
	if err := list.Err(); err != nil {
		return err
	}
	into.Clients = map[string]int64{}
	// Counted, and not by their names: a user may be allowed to list clients and not to
	// name his own.
	into.Slots = int64(a.sc.Server.MaxClients - server.ControlConnections - server.BusLinks(len(a.shards())))
	for line := range strings.Lines(list.Val()) {
		if name := clientField(line, "name"); !strings.HasPrefix(name, "lockjam-control-") {
			into.Clients[name]++
		}
	}
	return nil
}

// askLocks asks who holds which lock, and in the same round trip whatever else is
// put to the server.
func (a *armRun) askLocks(ctx context.Context, c *redis.Client, also func(redis.Pipeliner)) (map[string]string, error) {
	locks := a.swarm.Locks()
	held := map[string]string{}
	if len(a.shards()) > 0 { // whose keys are in several slots, of which MGET takes one
		asked := make([]*redis.StringCmd, len(locks))
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, lock := range locks {
				asked[i] = p.Get(ctx, lock)
			}
			also(p)
			return nil
		})
		for i, lock := range locks {
			if token, missing := asked[i].Result(); missing == nil {
				held[lock] = token
			}
		}
		if errors.Is(err, redis.Nil) { // a lock that nobody holds
			err = nil
		}
		return held, err
	}
	var values *redis.SliceCmd
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		values = p.MGet(ctx, locks...)
		also(p)
		return nil
	}); err != nil {
		return nil, err
	}
	for i, v := range values.Val() {
		if token, ok := v.(string); ok {
			held[locks[i]] = token
		}
	}
	return held, nil
}
