package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/sampler"
	"github.com/lockjam/lockjam/harness/server"
)

// failover makes the replica lag, kills the primary, and returns once the replica has
// taken its place and the other is back as its replica. Meanwhile there is no server
// to look at; from then on it is the new primary that is looked at.
func failover(ctx context.Context, a *armRun, lag time.Duration) error {
	pair, ok := a.host.server.(server.Failover)
	if !ok {
		return fmt.Errorf("%w: a server of kind %s has nothing to fail over to", result.ErrInternal,
			a.host.server.Info().Kind)
	}
	if err := pair.HoldBack(ctx); err != nil {
		return a.lost(ctx, err)
	}
	a.rec.step("CLIENT PAUSE WRITE on the replica", "it receives, and carries out nothing")
	if err := a.wait(ctx, lag); err != nil {
		return err
	}
	a.watcher.Use(sampler.Connections{})
	_ = a.host.control.Close()
	a.rec.step("SIGKILL to the primary", "it is gone")
	err := pair.FailOver(ctx)
	if err == nil {
		a.rec.step("SENTINEL GET-MASTER-ADDR-BY-NAME", "it names the replica")
		var control *server.Control
		if control, err = server.OpenControl(ctx, pair.Endpoint()); err == nil {
			a.host.control = control
			a.watcher.Use(a.host.connections())
			err = pair.Rejoin(ctx)
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return a.lost(ctx, fmt.Errorf("the failover went wrong: %w", err))
	}
	a.rec.step("start of the one that was killed", "it is the other's replica")
	return nil
}

// otherShards notes how full the shards are that are not watched.
func otherShards(ctx context.Context, a *armRun) {
	for i, e := range a.host.shards() {
		if i == 0 {
			continue
		}
		said := func() string {
			ctx, cancel := server.Within(ctx, askWithin)
			defer cancel()
			client, connection, err := server.OpenWatch(ctx, e)
			if err != nil {
				return err.Error()
			}
			defer connection.Close()
			defer client.Close()
			info, err := sampler.ReadInfo(ctx, client, "clients", "stats")
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("connected_clients:%s, maxclients:%s, rejected_connections:%s",
				info["connected_clients"], info["maxclients"], info["rejected_connections"])
		}()
		a.rec.step(fmt.Sprintf("INFO of shard %d", i+1), said)
	}
}
