package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// PrimaryName is what the Sentinel calls the pair.
const PrimaryName = "lockjam"

// Failover is offered by a server that a Sentinel watches over. Its Endpoint is the primary's, and changes with it.
type Failover interface {
	Server

	// Sentinels are the addresses that tell who the primary is.
	Sentinels() []string

	// HoldBack makes the replica lag: it goes on receiving what the primary sends, and carries out none of it. That ends with
	// FailOver.
	HoldBack(ctx context.Context) error

	// FailOver kills the primary and returns once the Sentinel names the replica. What the replica was held back from is lost.
	FailOver(ctx context.Context) error

	// Rejoin starts the primary that was killed again, as the new one's replica. It has the data a second or two later.
	Rejoin(ctx context.Context) error
}

const (
	// calm is after how many milliseconds without an answer the Sentinel takes a node for down while nothing is to happen. On a
	// busy machine a process is not answered for longer than one would set in earnest, and that would be a failover that
	// nobody asked for.
	calm = 10_000

	// alert is the same once the primary has been killed.
	alert = 300

	// heldBack is how long the replica pauses if nobody ends it.
	heldBack = time.Minute

	// promotionLimit is how long a failover may take. Without a hitch it takes one to two seconds: the replica's promotion is
	// noticed in its INFO, and the Sentinel reads that once a second (sentinel.c, sentinelSendPeriodicCommands).
	promotionLimit = 8 * time.Second
)

// sentinelRole is the node that holds no data.
const sentinelRole = "sentinel"

// sentinelServer is a primary and a replica on 127.0.0.1 with one Sentinel, which alone is the quorum: who decides makes no
// difference to what is lost.
type sentinelServer struct {
	group
	config   Config
	sentinel node

	mu               sync.Mutex
	primary, replica node
}

func startSentinel(ctx context.Context, spec Spec, start nodeStarter) (_ Server, err error) {
	// Without the delay a primary waits five seconds for further replicas before it serves the first.
	s := &sentinelServer{group: group{topology: Sentinel, start: start}, config: spec.Config.With(Config{"repl-diskless-sync-delay": "0"})}
	if s.primary, err = s.add(ctx, spec, "primary", s.config); err != nil {
		return nil, err
	}
	if s.replica, err = s.add(ctx, spec, "replica", s.config.With(s.replicaOf(s.primary))); err != nil {
		return nil, s.abandon(ctx, err)
	}
	if err = s.synchronised(ctx); err != nil {
		return nil, s.abandon(ctx, err)
	}
	if s.sentinel, err = s.add(ctx, spec, sentinelRole, Config{}, "--sentinel"); err != nil {
		return nil, s.abandon(ctx, err)
	}
	if err = s.watchOver(ctx); err != nil {
		return nil, s.abandon(ctx, err)
	}
	return s, nil
}

// replicaOf is what makes a node a replica, with the password that the primary asks for.
func (s *sentinelServer) replicaOf(primary node) Config {
	host, port := hostPort(primary)
	c := Config{"replicaof": host + " " + port}
	if password := s.config["requirepass"]; password != "" {
		c["masterauth"] = password
	}
	return c
}

// synchronised waits until the replica acknowledges what is sent to it now: a message, which leaves nothing behind. INFO calls
// it online as soon as it has the primary's data, and that may be a second before it is sent what comes next, with its first
// acknowledgement (replication.c, updateSlavesWaitingBgsave and replconfCommand).
func (s *sentinelServer) synchronised(ctx context.Context) error {
	primary, _ := s.now()
	return eventually(ctx, primary, readyLimit, "the replica's synchronisation", func(ctx context.Context, c *redis.Client) (bool, error) {
		// What is sent before there is a replica counts as acknowledged by the first.
		info, err := c.Info(ctx, "replication").Result()
		if !strings.Contains(info, "state=online") {
			return false, err
		}
		// WAIT is about what its own connection has sent.
		answers, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Publish(ctx, PrimaryName, "is this replicated?")
			p.Do(ctx, "WAIT", 1, 100)
			return nil
		})
		if err != nil {
			return false, err
		}
		n, err := answers[1].(*redis.Cmd).Int()
		return n == 1, err
	})
}

// linkIs asks a replica for its link to the primary.
func linkIs(state string) func(context.Context, *redis.Client) (bool, error) {
	return func(ctx context.Context, c *redis.Client) (bool, error) {
		info, err := c.Info(ctx, "replication").Result()
		return strings.Contains(info, "master_link_status:"+state+"\r\n"), err
	}
}

// watchOver tells the Sentinel of the primary, and waits until it has found the replica. It does so by commands: in its file
// the order of lines matters to some versions.
func (s *sentinelServer) watchOver(ctx context.Context) error {
	err := ask(ctx, s.sentinel, func(ctx context.Context, c *redis.Client) error {
		host, port := hostPort(s.primary)
		if err := c.Do(ctx, "SENTINEL", "MONITOR", PrimaryName, host, port, 1).Err(); err != nil {
			return err
		}
		settings := []any{"SENTINEL", "SET", PrimaryName, "down-after-milliseconds", calm, "failover-timeout", promotionLimit.Milliseconds()}
		if password := s.config.password(); password != "" {
			settings = append(settings, "auth-pass", password)
		}
		return c.Do(ctx, settings...).Err()
	})
	if err != nil {
		return err
	}
	return eventually(ctx, s.sentinel, readyLimit, "the Sentinel's sight of the replica", func(ctx context.Context, c *redis.Client) (bool, error) {
		found, err := c.Do(ctx, "SENTINEL", "REPLICAS", PrimaryName).Slice()
		return err == nil && len(found) == 1 && strings.Contains(fmt.Sprint(found...), "master-link-status ok"), err
	})
}

// now are the nodes in their present roles.
func (s *sentinelServer) now() (primary, replica node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.primary, s.replica
}

func (s *sentinelServer) Endpoint() Endpoint {
	primary, _ := s.now()
	return primary.Endpoint()
}

func (s *sentinelServer) Info() Info {
	primary, _ := s.now()
	info := primary.Info()
	info.Topology = Sentinel
	return info
}

func (s *sentinelServer) Sentinels() []string { return []string{s.sentinel.addr()} }

// Kill, Pause and Resume are about the primary.
func (s *sentinelServer) Kill(ctx context.Context) error {
	primary, _ := s.now()
	return primary.Kill(ctx)
}

func (s *sentinelServer) Pause(ctx context.Context) error {
	primary, _ := s.now()
	return primary.Pause(ctx)
}

func (s *sentinelServer) Resume(ctx context.Context) error {
	primary, _ := s.now()
	return primary.Resume(ctx)
}

// RedisCLI runs it against the primary.
func (s *sentinelServer) RedisCLI(ctx context.Context, w io.Writer, arguments ...string) (string, error) {
	primary, _ := s.now()
	return primary.RedisCLI(ctx, w, arguments...)
}

// HoldBack pauses the replica's writes, its primary's among them (server.c, processCommand). To stop the process would not
// do: what is in its socket by then it would carry out when it goes on, dead primary or not. It takes Redis 6.2.
func (s *sentinelServer) HoldBack(ctx context.Context) error {
	_, replica := s.now()
	return ask(ctx, replica, func(ctx context.Context, c *redis.Client) error {
		return c.Do(ctx, "CLIENT", "PAUSE", heldBack.Milliseconds(), "WRITE").Err()
	})
}

func (s *sentinelServer) FailOver(ctx context.Context) error {
	primary, replica := s.now()
	tell := func(ctx context.Context, c *redis.Client) error {
		return c.Do(ctx, "SENTINEL", "SET", PrimaryName, "down-after-milliseconds", alert).Err()
	}
	if err := ask(ctx, s.sentinel, tell); err != nil {
		return err
	}
	if err := primary.Kill(ctx); err != nil {
		return err
	}
	// With the link the replica drops what it had received over it (networking.c, freeClient: a client that is blocked is not
	// kept for later). Until it goes on it does not answer the Sentinel's PUBLISH, and counts as down.
	if err := eventually(ctx, replica, readyLimit, "the end of the replica's link", linkIs("down")); err != nil {
		return err
	}
	goOn := func(ctx context.Context, c *redis.Client) error { return c.ClientUnpause(ctx).Err() }
	if err := ask(ctx, replica, goOn); err != nil {
		return err
	}
	err := eventually(ctx, s.sentinel, promotionLimit, "the replica's promotion", func(ctx context.Context, c *redis.Client) (bool, error) {
		named, err := c.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", PrimaryName).StringSlice()
		return err == nil && len(named) == 2 && net.JoinHostPort(named[0], named[1]) == replica.addr(), err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary, s.replica = replica, primary
	// Nothing else is to happen.
	return ask(ctx, s.sentinel, func(ctx context.Context, c *redis.Client) error {
		return c.Do(ctx, "SENTINEL", "SET", PrimaryName, "down-after-milliseconds", calm).Err()
	})
}

func (s *sentinelServer) Rejoin(ctx context.Context) error {
	primary, replica := s.now()
	if err := replica.revive(ctx, s.config.With(s.replicaOf(primary))); err != nil {
		return fmt.Errorf("start %s as a replica: %w", replica.addr(), err)
	}
	return nil
}
