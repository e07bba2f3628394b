package swarm

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Target is the server that the swarm works against. Addr is the one that is
// watched: where there are several, its slots are those that workers are said to
// hold.
type Target struct {
	Addr, Username, Password string
	DB                       int
	TLS                      *tls.Config

	// Sentinels are asked who the primary of that name is; none: Addr is dialled.
	Sentinels []string
	Primary   string

	// Shards are the nodes of a cluster, Addr the first of them; none: it is no
	// cluster. Of n, shard i has the hash slots from i*16384/n on, and the tenants
	// are shared out in turn: tenant 0 is on the first.
	Shards []string
}

// beside says whether an address is not the watched server's. After a failover that
// is at another address: of those that share the work nobody but the Sentinels
// stands beside it.
func (t Target) beside(addr string) bool {
	if len(t.Shards) > 0 {
		return addr != t.Addr
	}
	return slices.Contains(t.Sentinels, addr)
}

// shardOf is the number of the shard that has a tenant's keys.
func (t Target) shardOf(tenant int32) int { return int(tenant) % max(len(t.Shards), 1) }

// tag is the part of a tenant's keys that stands for the tenant. In a cluster it is
// a hash tag, so that all of them are in one slot, as scripts need it, and it ends
// in a number that puts it on the tenant's shard.
func (t Target) tag(name string, tenant int32) string {
	n := len(t.Shards)
	if n == 0 {
		return name
	}
	want := t.shardOf(tenant)
	for i := 0; ; i++ {
		tag := fmt.Sprintf("%s:%d", name, i)
		if slot := hashSlot(tag); want*hashSlots/n <= slot && slot < (want+1)*hashSlots/n {
			return "{" + tag + "}"
		}
	}
}

const hashSlots = 16384

// hashSlot is a key's, as the cluster specification has it: CRC16, XMODEM.
func hashSlot(tag string) int {
	var crc uint16
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % hashSlots
}

// open makes the client that go-redis has for such a target.
func (t Target) open(c ClientOptions, name string, d *dialer) redis.UniversalClient {
	switch o := redisOptions(t, c, name, d); {
	case len(t.Sentinels) > 0:
		return redis.NewFailoverClient(failoverOptions(t, o))
	case len(t.Shards) > 0:
		return redis.NewClusterClient(clusterOptions(t, o))
	default:
		return redis.NewClient(o)
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
		ClientName: o.ClientName, Dialer: o.Dialer, Protocol: o.Protocol, Username: o.Username, Password: o.Password, DB: o.DB,
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, DialerRetryTimeout: o.DialerRetryTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		ReadBufferSize: o.ReadBufferSize, WriteBufferSize: o.WriteBufferSize,
		PipelinePoolSize: o.PipelinePoolSize, PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, MaxConcurrentDials: o.MaxConcurrentDials,
		PoolTimeout: o.PoolTimeout, MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, TLSConfig: o.TLSConfig,
		DisableIdentity: o.DisableIdentity,
	}
}

// clusterOptions are the same for a client of a cluster. All sizes are per shard.
// Each client asks one shard, at random, who has which slots, and so takes a slot
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
		PipelinePoolSize: o.PipelinePoolSize, PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, MaxConcurrentDials: o.MaxConcurrentDials,
		PoolTimeout: o.PoolTimeout, MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, TLSConfig: o.TLSConfig,
		DisableIdentity: o.DisableIdentity, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}
