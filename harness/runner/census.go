package runner

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// newCounter takes censuses of a swarm and its server.
type counter struct {
	host       *host
	swarm      *swarm.Swarm
	rec        *recording
	maxClients int
}

func newCounter(a *armRun) counter {
	return counter{host: a.host, swarm: a.swarm, rec: a.rec, maxClients: a.sc.Server.MaxClients}
}

// census reads what every worker is doing, then asks Redis for the owner of each lock
// and which connections there are.
func (c counter) census(ctx context.Context, over *redis.Client) history.Census {
	progress := func() history.Progress {
		s := c.swarm.Snapshot()
		p := history.Progress{Grants: s.Grants, Releases: s.Releases, Attempts: s.Dials + s.Commands}
		return p
	}
	begun := c.rec.elapsed()
	got := history.Census{Before: progress(), Workers: c.swarm.Census()}
	if err := c.askRedis(ctx, over, &got); err != nil {
		got.Error = err.Error()
	}
	got.After = progress()
	got.At = c.rec.elapsed()
	got.Took = got.At - begun
	return got
}

func (c counter) askRedis(ctx context.Context, over *redis.Client, into *history.Census) error {
	var list *redis.StringCmd
	var err error
	if into.Locks, err = c.askLocks(ctx, over, func(p redis.Pipeliner) { list = p.ClientList(ctx) }); err != nil {
		return err
	}
	if err := list.Err(); err != nil {
		return err
	}
	into.Clients = map[string]int64{}
	// Counted, and not by their names: a user may be allowed to list clients and not to
	// name his own.
	into.Slots = int64(c.maxClients - server.ControlConnections - server.BusLinks(len(c.host.shards())))
	for client := range server.Clients(list.Val()) {
		if !client.Control() {
			into.Clients[client.Name]++
		}
	}
	into.Foreign = foreignClients(list.Val(), c.host.clientName(), c.host.network != nil)
	return nil
}

// settledAge is the least age of a connection that is counted as a foreign client's: the
// canary and redis-cli, which have no name, come and go in less.
const settledAge = 2 * time.Second

// foreignNamed bounds how many foreign clients a census names; the rest are added up.
const foreignNamed = 50

// foreignClients lists the connections in the answer to CLIENT LIST that belong neither to
// the run, whose swarm has this name, nor to the server's own topology; nil where there are
// none. Connections without a name may be the swarm's own where its user may not name them,
// or where a proxy keeps what the swarm has given up: proxied.
func foreignClients(list, swarmName string, proxied bool) []history.Foreign {
	named := !proxied && strings.Contains(list, " name=lockjam-control-")
	var all []history.Foreign
	for c, err := range server.Clients(list) {
		if err != nil || c.Age < settledAge || ownClient(swarmName, c) || c.Name == "" && !named ||
			strings.ContainsAny(c.Flags, "SM") {
			continue
		}
		i := slices.IndexFunc(all, func(f history.Foreign) bool { return f.Name == c.Name && f.Host == c.Host })
		if i < 0 && len(all) == foreignNamed {
			i = foreignNamed - 1 // the rest count as the last that is named
		}
		if i < 0 {
			i = len(all)
			all = append(all, history.Foreign{Name: c.Name, Host: c.Host})
		}
		all[i].Connections++
	}
	slices.SortFunc(all, func(a, b history.Foreign) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host))
	})
	return all
}

// ownClient reports whether a client is the run's, or a Sentinel's that it started.
func ownClient(swarmName string, c server.Client) bool {
	return swarm.Owns(swarmName, c.Name) || c.Control() || strings.HasPrefix(c.Name, "sentinel-")
}

// askLocks asks for the holder of each lock, and in the same round trip whatever else is
// put to the server.
func (c counter) askLocks(ctx context.Context, over *redis.Client, also func(redis.Pipeliner)) (map[string]string,
	error) {
	locks := c.swarm.Locks()
	held := map[string]string{}
	if len(c.host.shards()) > 0 { // whose keys are in several slots, of which MGET takes one
		asked := make([]*redis.StringCmd, len(locks))
		_, err := over.Pipelined(ctx, func(p redis.Pipeliner) error {
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
		if errors.Is(err, redis.Nil) { // a lock without a holder
			err = nil
		}
		return held, err
	}
	var values *redis.SliceCmd
	if _, err := over.Pipelined(ctx, func(p redis.Pipeliner) error {
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
