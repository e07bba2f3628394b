package swarm

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/lockjam/lockjam/harness/history"
)

// This file is the swarm's client under test, go-redis, and the only one that names its
// types. Another library takes the same places: it is opened with options and a dialer, it
// sends the commands of a lock and of a counter, and its errors have classes.

// library is one client of the library under test, with a pool of its own.
type library struct{ rdb redis.UniversalClient }

// openLibrary makes the client that go-redis has for such a target.
func openLibrary(t Target, c ClientOptions, name string, d *dialer) library {
	switch o := redisOptions(t, c, name, d); {
	case len(t.Sentinels) > 0:
		return library{redis.NewFailoverClient(failoverOptions(t, o))}
	case len(t.Shards) > 0:
		return library{redis.NewClusterClient(clusterOptions(t, o))}
	default:
		return library{redis.NewClient(o)}
	}
}

func redisOptions(t Target, c ClientOptions, name string, d *dialer) *redis.Options {
	return &redis.Options{
		Network: "tcp", Addr: t.Addr, Username: t.Username, Password: t.Password, DB: t.DB, TLSConfig: t.TLS,
		ClientName: name, Dialer: d.dial, Protocol: c.Protocol,
		MaxRetries:      c.MaxRetries,
		MinRetryBackoff: c.MinRetryBackoffMS.option(), MaxRetryBackoff: c.MaxRetryBackoffMS.option(),
		DialTimeout: c.DialTimeoutMS.option(), DialerRetries: c.DialerRetries,
		DialerRetryTimeout: c.DialerRetryMS.option(),
		ReadTimeout:        c.ReadTimeoutMS.option(), WriteTimeout: c.WriteTimeoutMS.option(),
		ContextTimeoutEnabled: c.ContextTimeoutEnabled,
		ReadBufferSize:        c.ReadBufferBytes, WriteBufferSize: c.WriteBufferBytes,
		PipelinePoolSize: -1, PoolFIFO: c.PoolFIFO, PoolSize: c.PoolSize, MaxConcurrentDials: c.MaxConcurrentDials,
		PoolTimeout: c.PoolTimeoutMS.option(), MinIdleConns: c.MinIdleConns, MaxIdleConns: c.MaxIdleConns,
		MaxActiveConns: c.MaxActiveConns, ConnMaxIdleTime: c.ConnMaxIdleTimeMS.option(),
		ConnMaxLifetime: c.ConnMaxLifetimeMS.option(), DisableIdentity: c.DisableIdentity,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// failoverOptions are the same for a client that asks the Sentinels before it dials.
// Besides those to the primary each such client has two connections to a Sentinel,
// one to ask and one to be told of a failover.
func failoverOptions(t Target, o *redis.Options) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: t.Primary, SentinelAddrs: t.Sentinels,
		ClientName: o.ClientName, Dialer: o.Dialer, Protocol: o.Protocol, Username: o.Username, Password: o.Password,
		DB:         o.DB,
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, DialerRetryTimeout: o.DialerRetryTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		ReadBufferSize: o.ReadBufferSize, WriteBufferSize: o.WriteBufferSize,
		PipelinePoolSize: o.PipelinePoolSize, PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize,
		MaxConcurrentDials: o.MaxConcurrentDials,
		PoolTimeout:        o.PoolTimeout, MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns,
		MaxActiveConns:  o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, TLSConfig: o.TLSConfig,
		DisableIdentity: o.DisableIdentity,
	}
}

// clusterOptions are the same for a client of a cluster. All sizes are per shard.
// Each client asks one shard, at random, for the map of slots, and so takes a slot
// there as well.
func clusterOptions(t Target, o *redis.Options) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs: t.Shards,
		// What go-redis calls redirects are retries as much: of a command whose
		// connection broke. -1 is none of either, and nothing moves here.
		MaxRedirects: o.MaxRetries,
		// With its policies a new client first asks a second shard for COMMAND, all of
		// it, to learn which commands it may have to send to several: none of ours.
		DisableRoutingPolicies: true,
		FailingTimeoutSeconds:  15, ClusterStateReloadInterval: time.Minute,
		ClientName: o.ClientName, Dialer: o.Dialer, Protocol: o.Protocol, Username: o.Username, Password: o.Password,
		MaxRetries: -1, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, DialerRetryTimeout: o.DialerRetryTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		ReadBufferSize: o.ReadBufferSize, WriteBufferSize: o.WriteBufferSize,
		PipelinePoolSize: o.PipelinePoolSize, PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize,
		MaxConcurrentDials: o.MaxConcurrentDials,
		PoolTimeout:        o.PoolTimeout, MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns,
		MaxActiveConns:  o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, TLSConfig: o.TLSConfig,
		DisableIdentity: o.DisableIdentity, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}

// close closes the pool, and every connection that is in it.
func (l library) close() { _ = l.rdb.Close() }

// session sends over whatever connection of the pool is free.
func (l library) session() session { return session{l.rdb} }

// conn takes one connection out of the pool. A cluster's client, which has several
// pools, gives none away: scenarios that would ask it for one are refused.
func (l library) conn() connection {
	return connection{l.rdb.(interface{ Conn() *redis.Conn }).Conn()}
}

// transact runs a transaction over one connection, since WATCH is a state of the connection.
func (l library) transact(ctx context.Context, run func(transaction)) {
	_ = l.rdb.Watch(ctx, func(tx *redis.Tx) error {
		run(transaction{tx})
		return nil
	})
}

// connection is one connection that was taken out of a pool; the zero value is none.
type connection struct{ c *redis.Conn }

func (c connection) none() bool { return c.c == nil }

func (c connection) session() session { return session{c.c} }

// close returns the connection to its pool, which discards it if it broke.
func (c connection) close() { _ = c.c.Close() }

// session is where commands are sent: a pool, or one connection out of it. Each method is
// one round trip, scripts that Redis does not know yet and retries of the library's apart,
// and returns the library's own error.
type session struct{ c redis.Cmdable }

// releaseScript deletes the lock if it still holds our token. Redis before 8.4 and
// Valkey before 9.0 have no command for it, so it is a script everywhere.
var releaseScript = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) else return 0 end`)

// extendScript extends the lock's TTL if the lock still holds our token.
var extendScript = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) else return 0 end`)

// admitScript reads, compares and writes the counter with nothing in between. It returns the
// count that it wrote, or 0.
var admitScript = redis.NewScript(`local n = tonumber(redis.call("GET", KEYS[1]) or "0")
if n >= tonumber(ARGV[1]) then return 0 end
redis.call("SET", KEYS[1], n + 1, "PX", ARGV[2])
return n + 1`)

func (s session) ping(ctx context.Context) error { return s.c.Ping(ctx).Err() }

// acquire is SET NX. With l.WaitReplicas the lock counts once so many replicas have it,
// and is given back where they do not say so in time. WAIT is about what its own
// connection has written, so both go in one pipeline.
func (s session) acquire(ctx context.Context, lock, token string, l *LockSettings) (granted bool, err error) {
	if l.WaitReplicas == 0 {
		return s.c.SetNX(ctx, lock, token, l.TTLMS.Duration()).Result()
	}
	var set *redis.BoolCmd
	var acknowledged *redis.Cmd
	if _, err := s.c.Pipelined(ctx, func(p redis.Pipeliner) error {
		set = p.SetNX(ctx, lock, token, l.TTLMS.Duration())
		acknowledged = askReplicas(ctx, p, l)
		return nil
	}); err != nil || !set.Val() {
		return false, err
	}
	if there, err := onReplicas(acknowledged, l); err != nil || there {
		return there, err
	}
	return false, releaseScript.Run(ctx, s.c, []string{lock}, token).Err()
}

// holds reports whether the lock has this token.
func (s session) holds(ctx context.Context, lock, token string) (bool, error) {
	is, err := s.c.Get(ctx, lock).Result()
	return err == nil && is == token, err
}

// release deletes the lock if it holds the token, and returns how many it deleted.
func (s session) release(ctx context.Context, lock, token string) (deleted int64, err error) {
	return releaseScript.Run(ctx, s.c, []string{lock}, token).Int64()
}

// releaseBlindly deletes the lock, whatever token it holds.
func (s session) releaseBlindly(ctx context.Context, lock string) (deleted int64, err error) {
	return s.c.Del(ctx, lock).Result()
}

// extend sets the lock's TTL anew if it holds the token, and reports whether it did.
func (s session) extend(ctx context.Context, lock, token string, ttl time.Duration) (bool, error) {
	n, err := extendScript.Run(ctx, s.c, []string{lock}, token, ttl.Milliseconds()).Int64()
	return n != 0, err
}

// errUnacknowledged marks a write that is on too few replicas.
var errUnacknowledged = errors.New("not acknowledged by the replicas in time")

// enter takes a fencing token and reads the counter.
func (s session) enter(ctx context.Context, fence, counter string, l *LockSettings) (token, count int64, err error) {
	var next *redis.IntCmd
	var read *redis.StringCmd
	var acknowledged *redis.Cmd
	_, err = s.c.Pipelined(ctx, func(p redis.Pipeliner) error {
		next = p.Incr(ctx, fence)
		read = p.Get(ctx, counter)
		acknowledged = askReplicas(ctx, p, l)
		return nil
	})
	if err != nil && err != redis.Nil {
		return 0, 0, err
	}
	// A token that a failover loses would be given out a second time.
	if there, err := onReplicas(acknowledged, l); err != nil || !there {
		return 0, 0, cmp.Or(err, errUnacknowledged)
	}
	count, _ = read.Int64()
	return next.Val(), count, nil
}

// store writes the counter.
func (s session) store(ctx context.Context, counter string, count int64, keep time.Duration) error {
	return s.c.Set(ctx, counter, count, keep).Err()
}

// admit decides by script: it returns the count that it wrote, 0 where the limit is reached.
func (s session) admit(ctx context.Context, counter string, limit int64, keep time.Duration) (count int64, err error) {
	return admitScript.Run(ctx, s.c, []string{counter}, limit, keep.Milliseconds()).Int64()
}

// askReplicas puts WAIT behind what the pipeline writes, where the settings ask for it.
func askReplicas(ctx context.Context, p redis.Pipeliner, l *LockSettings) *redis.Cmd {
	if l.WaitReplicas == 0 {
		return nil
	}
	return p.Do(ctx, "WAIT", l.WaitReplicas, l.WaitReplicasMS.Duration().Milliseconds())
}

// onReplicas reports whether enough of them have acknowledged.
func onReplicas(acknowledged *redis.Cmd, l *LockSettings) (bool, error) {
	if acknowledged == nil {
		return true, nil
	}
	n, err := acknowledged.Int()
	return err == nil && n >= l.WaitReplicas, err
}

// transaction is WATCH, a read, and MULTI/EXEC.
type transaction struct{ tx *redis.Tx }

func (t transaction) session() session { return session{t.tx} }

func (t transaction) watch(ctx context.Context, counter string) error {
	return t.tx.Watch(ctx, counter).Err()
}

func (t transaction) count(ctx context.Context, counter string) (int64, error) {
	return t.tx.Get(ctx, counter).Int64()
}

// store writes the counter unless another client has written it since watch. That one did
// is an answer and no error.
func (t transaction) store(ctx context.Context, counter string, count int64, keep time.Duration) (stored bool,
	err error) {
	_, err = t.tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, counter, count, keep).Err() })
	if errors.Is(err, redis.TxFailedErr) {
		return false, nil
	}
	return err == nil, err
}

// errorReplyText is the text of the error reply that an error holds; false where it holds none.
func errorReplyText(err error) (string, bool) {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return "", false
	}
	return answer.Error(), true
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
