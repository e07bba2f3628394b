package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
)

const (
	// steadyDownAfter is the time in milliseconds without an answer after which the Sentinel takes
	// a node for down while no failover is wanted. On a busy machine a process may go unanswered
	// for longer than a production setting would allow, which would cause a failover that was not
	// requested.
	steadyDownAfter = 10_000

	// failoverDownAfter is the same once the primary has been killed.
	failoverDownAfter = 300

	// holdBackLimit bounds how long the replica pauses if FailOver does not end it.
	holdBackLimit = time.Minute

	// promotionLimit bounds a failover. It normally takes one to two seconds: the replica's
	// promotion shows in its INFO, which the Sentinel reads once a second (sentinel.c,
	// sentinelSendPeriodicCommands).
	promotionLimit = 8 * time.Second
)

// sentinelRole is the role of the node that holds no data.
const sentinelRole = "sentinel"

// sentinelPair is a primary and a replica on 127.0.0.1 with one Sentinel, which alone is the
// quorum: which Sentinels decide does not affect which writes are lost.
type sentinelPair struct {
	group
	config   server.Config
	sentinel Node

	mu               sync.Mutex
	primary, replica Node
}

func startSentinel(ctx context.Context, spec server.Spec, start Starter) (_ server.Server, err error) {
	s := &sentinelPair{
		group: group{topology: server.Sentinel, start: start},
		// Without this a primary waits five seconds for further replicas before it serves the
		// first.
		config: spec.Config.With(server.Config{"repl-diskless-sync-delay": "0"}),
	}
	if s.primary, err = s.add(ctx, spec, "primary", s.config); err != nil {
		return nil, err
	}
	if s.replica, err = s.add(ctx, spec, "replica", s.config.With(s.replicaOf(s.primary))); err != nil {
		return nil, s.abandon(ctx, err)
	}
	if err = s.awaitSync(ctx); err != nil {
		return nil, s.abandon(ctx, err)
	}
	if s.sentinel, err = s.add(ctx, spec, sentinelRole, server.Config{}, "--sentinel"); err != nil {
		return nil, s.abandon(ctx, err)
	}
	if err = s.monitor(ctx); err != nil {
		return nil, s.abandon(ctx, err)
	}
	return s, nil
}

// replicaOf returns the directives that make a node a replica, with the primary's password.
func (s *sentinelPair) replicaOf(primary Node) server.Config {
	host, port := hostPort(primary)
	c := server.Config{"replicaof": host + " " + port}
	if password := s.config["requirepass"]; password != "" {
		c["masterauth"] = password
	}
	return c
}

// awaitSync waits until the replica acknowledges a message that is published now and leaves no data
// behind. INFO reports the replica as online as soon as it has the primary's data. It may take
// another second, until the replica's first acknowledgement, before the primary sends it later
// writes (replication.c, updateSlavesWaitingBgsave and replconfCommand).
func (s *sentinelPair) awaitSync(ctx context.Context) error {
	primary, _ := s.current()
	inSync := func(ctx context.Context, c *redis.Client) (bool, error) {
		// Writes from before there was a replica count as acknowledged by the first one.
		info, err := c.Info(ctx, "replication").Result()
		if !strings.Contains(info, "state=online") {
			return false, err
		}
		// WAIT refers to the writes of its own connection.
		answers, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Publish(ctx, server.PrimaryName, "is this replicated?")
			p.Do(ctx, "WAIT", 1, 100)
			return nil
		})
		if err != nil {
			return false, err
		}
		n, err := answers[1].(*redis.Cmd).Int()
		return n == 1, err
	}
	return eventually(ctx, primary, server.ReadyLimit, "the replica's synchronisation", inSync)
}

// linkIs reports whether a replica's link to the primary has that state.
func linkIs(state string) condition {
	return func(ctx context.Context, c *redis.Client) (bool, error) {
		info, err := c.Info(ctx, "replication").Result()
		return strings.Contains(info, "master_link_status:"+state+"\r\n"), err
	}
}

// monitor makes the Sentinel monitor the primary, and waits until it has found the replica. It uses
// commands because some versions depend on the order of lines in the Sentinel's file.
func (s *sentinelPair) monitor(ctx context.Context) error {
	err := ask(ctx, s.sentinel, func(ctx context.Context, c *redis.Client) error {
		host, port := hostPort(s.primary)
		if err := c.Do(ctx, "SENTINEL", "MONITOR", server.PrimaryName, host, port, 1).Err(); err != nil {
			return err
		}
		settings := []any{
			"SENTINEL", "SET", server.PrimaryName, "down-after-milliseconds", steadyDownAfter,
			"failover-timeout", promotionLimit.Milliseconds(),
		}
		if password := s.config.Password(); password != "" {
			settings = append(settings, "auth-pass", password)
		}
		return c.Do(ctx, settings...).Err()
	})
	if err != nil {
		return err
	}
	found := func(ctx context.Context, c *redis.Client) (bool, error) {
		replicas, err := c.Do(ctx, "SENTINEL", "REPLICAS", server.PrimaryName).Slice()
		return err == nil && len(replicas) == 1 && strings.Contains(fmt.Sprint(replicas...), "master-link-status ok"),
			err
	}
	return eventually(ctx, s.sentinel, server.ReadyLimit, "the Sentinel to find the replica", found)
}

// setDownAfter sets after how many milliseconds the Sentinel takes a node for down.
func (s *sentinelPair) setDownAfter(ctx context.Context, milliseconds int) error {
	return ask(ctx, s.sentinel, func(ctx context.Context, c *redis.Client) error {
		return c.Do(ctx, "SENTINEL", "SET", server.PrimaryName, "down-after-milliseconds", milliseconds).Err()
	})
}

// current returns the nodes in their present roles.
func (s *sentinelPair) current() (primary, replica Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.primary, s.replica
}

func (s *sentinelPair) Endpoint() server.Endpoint {
	primary, _ := s.current()
	return primary.Endpoint()
}

func (s *sentinelPair) Info() server.Info {
	primary, _ := s.current()
	info := primary.Info()
	info.Topology = server.Sentinel
	return info
}

func (s *sentinelPair) Sentinels() []string { return []string{s.sentinel.Addr()} }

// Kill, Pause and Resume act on the primary.
func (s *sentinelPair) Kill(ctx context.Context) error {
	primary, _ := s.current()
	return primary.Kill(ctx)
}

func (s *sentinelPair) Pause(ctx context.Context) error {
	primary, _ := s.current()
	return primary.Pause(ctx)
}

func (s *sentinelPair) Resume(ctx context.Context) error {
	primary, _ := s.current()
	return primary.Resume(ctx)
}

// RedisCLI implements server.Console, against the primary.
func (s *sentinelPair) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	primary, _ := s.current()
	return primary.RedisCLI(ctx, w, arguments...)
}

// HoldBack pauses the replica's writes, including those from its primary (server.c,
// processCommand). Stopping the process would not do: it would apply what is in its socket by then
// when it continues, whether the primary is dead or not. It needs Redis 6.2.
func (s *sentinelPair) HoldBack(ctx context.Context) error {
	_, replica := s.current()
	return ask(ctx, replica, func(ctx context.Context, c *redis.Client) error {
		return c.Do(ctx, "CLIENT", "PAUSE", holdBackLimit.Milliseconds(), "WRITE").Err()
	})
}

func (s *sentinelPair) FailOver(ctx context.Context) error {
	primary, replica := s.current()
	if err := s.setDownAfter(ctx, failoverDownAfter); err != nil {
		return err
	}
	if err := primary.Kill(ctx); err != nil {
		return err
	}
	// The replica drops the writes that it holds back together with the link (networking.c,
	// freeClient: the link is a blocked client, which is not cached). Until it is unpaused it does
	// not answer the Sentinel's PUBLISH, and counts as down.
	err := eventually(ctx, replica, server.ReadyLimit, "the end of the replica's link to the primary", linkIs("down"))
	if err != nil {
		return err
	}
	unpause := func(ctx context.Context, c *redis.Client) error { return c.ClientUnpause(ctx).Err() }
	if err := ask(ctx, replica, unpause); err != nil {
		return err
	}
	promoted := func(ctx context.Context, c *redis.Client) (bool, error) {
		named, err := c.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", server.PrimaryName).StringSlice()
		return err == nil && len(named) == 2 && net.JoinHostPort(named[0], named[1]) == replica.Addr(), err
	}
	if err := eventually(ctx, s.sentinel, promotionLimit, "the replica's promotion", promoted); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary, s.replica = replica, primary
	return s.setDownAfter(ctx, steadyDownAfter) // no further failover is wanted
}

func (s *sentinelPair) Rejoin(ctx context.Context) error {
	primary, replica := s.current()
	if err := replica.Revive(ctx, s.config.With(s.replicaOf(primary))); err != nil {
		return fmt.Errorf("start %s as a replica: %w", replica.Addr(), err)
	}
	return nil
}
