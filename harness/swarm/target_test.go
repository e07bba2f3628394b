package swarm

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// The cluster specification gives the checksum of one string; Redis gave the others
// (CLUSTER KEYSLOT).
func TestHashSlot(t *testing.T) {
	for key, want := range map[string]int{"123456789": 0x31C3, "": 0, "a": 15495, "foo": 12182, "user1000": 3443} {
		if got := hashSlot(key); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}

func TestTenantsAreSharedOutToShards(t *testing.T) {
	single := Target{Addr: "a"}
	if k := single.keys("p", 7); k != (keys{"lock:p:7", "fence:p:7", "count:p:7"}) {
		t.Errorf("one server: %+v", k)
	}
	cluster := Target{Addr: "a", Shards: []string{"a", "b", "c"}}
	for tenant := range int32(30) {
		k := cluster.keys("lj-20261124-1", tenant)
		_, after, _ := strings.Cut(k.lock, "{")
		tag, rest, ok := strings.Cut(after, "}")
		if !ok || rest != "" || k.fence != "fence:{"+tag+"}" || k.counter != "count:{"+tag+"}" {
			t.Errorf("not in one slot: %+v", k)
		}
		// As server.Sharded says: shard i has the slots from i*16384/n on.
		if at := hashSlot(tag); at < int(tenant%3)*16384/3 || at >= int(tenant%3+1)*16384/3 {
			t.Errorf("tenant %d has slot %d", tenant, at)
		}
	}
}

// What a scenario sets reaches every kind of client, and nothing is left to
// go-redis's defaults that is not left to them for one server.
func TestEveryClientHasTheSameOptions(t *testing.T) {
	c := Defaults().Client
	c.MinIdleConns, c.MaxIdleConns, c.MaxActiveConns, c.MaxConcurrentDials, c.PoolFIFO = 1, 2, 3, 4, true
	c.ConnMaxLifetimeMS, c.ContextTimeoutEnabled = 5, true
	d := &dialer{}
	target := Target{Addr: "a", Username: "u", Password: "p", DB: 0}
	o := redisOptions(target, c, "name", d)
	differ := map[string]string{
		"MaxRetries": "a cluster's are MaxRedirects", "Network": "", "Addr": "", "Dialer": "functions do not compare",
		"MaintNotificationsConfig": "of no use with a Sentinel, and off",
		"FailingTimeoutSeconds":    "there are no replicas to be avoided",
	}
	for _, other := range []any{failoverOptions(target, o), clusterOptions(target, o)} {
		v := reflect.ValueOf(other).Elem()
		for f := range reflect.TypeFor[redis.Options]().Fields() {
			if _, ok := differ[f.Name]; ok || !f.IsExported() || !v.FieldByName(f.Name).IsValid() {
				continue
			}
			want, got := reflect.ValueOf(o).Elem().FieldByIndex(f.Index), v.FieldByName(f.Name)
			if !reflect.DeepEqual(want.Interface(), got.Interface()) {
				t.Errorf("%T.%s is %v, want %v", other, f.Name, got, want)
			}
		}
	}
}

// several is a bench on a topology of several nodes.
func several(t *testing.T, topology server.Topology) *bench {
	t.Helper()
	w, err := server.NewWorkspace("swarm-test")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, begun: time.Now()}
	b.server, err = process.Start(t.Context(), server.Spec{
		Workspace: w, Name: "several", Config: server.Config{"maxclients": "64", "save": `""`}, Topology: topology,
	})
	if errors.Is(err, server.ErrUnavailable) {
		t.Skipf("these tests need a redis-server or valkey-server on PATH; scripts/setup.sh --tests installs one: %v",
			err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(b.server.Stop(context.Background()), w.Close()); err != nil {
			t.Error(err)
		}
	})
	b.target = Target{Addr: b.server.Endpoint().Addr}
	switch s := b.server.(type) {
	case server.Failover:
		b.target.Sentinels, b.target.Primary = s.Sentinels(), server.PrimaryName
	case server.Sharded:
		for _, e := range s.Shards() {
			b.target.Shards = append(b.target.Shards, e.Addr)
		}
	}
	return b
}

// Every tenant's decisions are made on its shard, and a worker's slots are those that
// it has on the one that is watched.
func TestSwarmOnACluster(t *testing.T) {
	b := several(t, server.Cluster)
	set := Defaults()
	set.Instances, set.Lock.Tenants, set.Arrivals.Tenant, set.Holder = 6, 3, TenantByWorker, HolderRedials
	s := b.start(set)
	b.eventually("decisions", func() bool { return s.Snapshot().Decisions >= 60 })
	if locks := s.Locks(); len(locks) != 1 || !strings.HasPrefix(locks[0], "lock:{t:0:") {
		t.Errorf("locks on the watched shard: %v", locks)
	}
	s.Focus(0)
	b.eventually("everybody is connected to the watched shard", func() bool {
		return !slices.ContainsFunc(s.Census(),
			func(w history.WorkerState) bool { return w.Connected != 1 && w.State != Holding.String() })
	})
	s.Stop()
	checkGrants(t, b.ops)
	served := map[int32]int{}
	for _, op := range b.ops {
		if op.Outcome == history.OK {
			served[op.Tenant]++
		}
	}
	if len(served) != 3 {
		t.Errorf("decisions by tenant: %v", served)
	}
}

// A lock that no replica has acknowledged is given back, and has no holder.
func TestWaitReplicas(t *testing.T) {
	b := several(t, server.Sentinel)
	set := Defaults()
	set.Lock.WaitReplicas, set.Lock.WaitReplicasMS = 1, 50
	pair := b.server.(server.Failover)
	if err := pair.HoldBack(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := b.start(set)
	b.eventually("tries", func() bool { return s.Snapshot().Commands >= 5 })
	if n := s.Snapshot().Grants; n != 0 {
		t.Errorf("%d locks were granted that no replica has", n)
	}
	client := redis.NewClient(&redis.Options{Addr: b.target.Addr})
	defer client.Close()
	b.eventually("the lock is given back", func() bool { return client.Exists(t.Context(), "lock:t:0").Val() == 0 })
	// Clients find the new primary by themselves, and work goes on when it has a replica.
	if err := errors.Join(pair.FailOver(t.Context()), pair.Rejoin(t.Context())); err != nil {
		t.Fatal(err)
	}
	b.eventually("decisions after the failover", func() bool { return s.Snapshot().Decisions >= 3 })
	s.Stop()
}

func TestRampSpreadsTheFirstRequests(t *testing.T) {
	set := Defaults()
	set.Instances, set.Arrivals.RampMS = 4, 100
	a := newArrivals(set)
	var got []string
	for id := 1; id <= 5; id++ {
		got = append(got, fmt.Sprint(a.late(id)))
	}
	if want := "0s 25ms 50ms 75ms 0s"; strings.Join(got, " ") != want { // the fifth comes later by itself
		t.Errorf("%v, want %s", got, want)
	}
}
