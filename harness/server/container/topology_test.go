package container_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
	"github.com/lockjam/lockjam/harness/server/process"
)

// onEveryKind runs a test of a topology on each kind of server that has it.
func onEveryKind(t *testing.T, test func(t *testing.T, kind string, starter server.Starter, spec server.Spec)) {
	t.Run("processes", func(t *testing.T) {
		needProcess(t)
		test(t, server.KindProcess, process.Start, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "several"})
	})
	t.Run("containers", func(t *testing.T) {
		starter := func(ctx context.Context, spec server.Spec) (server.Server, error) {
			s, err := container.Start(ctx, spec)
			if errors.Is(err, server.ErrTopology) {
				t.Skip(err)
			}
			return s, err
		}
		test(t, server.KindContainer, starter, server.Spec{Config: small, Image: needImage(t), Workspace: newWorkspace(t), Name: "several"})
	})
}

// What the replica is held back from is lost by the failover, what it had is not, and the one that
// was killed comes back as a replica.
func TestSentinelFailsOver(t *testing.T) { onEveryKind(t, sentinelFailsOver) }

func sentinelFailsOver(t *testing.T, kind string, starter server.Starter, spec server.Spec) {
	spec.Topology = server.Sentinel
	s, ok := start(t, starter, spec).(server.Failover)
	if !ok {
		t.Fatal("the pair offers no failover")
	}
	if info := s.Info(); info.Kind != kind || info.Topology != server.Sentinel {
		t.Errorf("info: %+v", info)
	}
	first := s.Endpoint().Addr
	clients := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: server.PrimaryName, SentinelAddrs: s.Sentinels(), PipelinePoolSize: -1})
	defer clients.Close()
	ctx := within(t, time.Minute)
	write := func(key string) int64 {
		var acknowledged *redis.Cmd
		_, err := clients.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, key, "1", 0)
			acknowledged = p.Do(ctx, "WAIT", 1, 200) // which is about this connection's writes
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n, err := acknowledged.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := write("before"); n != 1 {
		t.Errorf("%d replicas acknowledge a write, want 1", n)
	}
	if err := s.HoldBack(ctx); err != nil {
		t.Fatal(err)
	}
	if n := write("held back"); n != 0 {
		t.Errorf("%d replicas acknowledge a write that they are held back from, want 0", n)
	}
	if err := s.FailOver(ctx); err != nil {
		t.Fatal(err)
	}
	if s.Endpoint().Addr == first {
		t.Errorf("after the failover the primary is still at %s", first)
	}
	control := openControl(t, s)
	if n := control.Admin.Exists(ctx, "before").Val(); n != 1 {
		t.Error("what the replica had is lost")
	}
	if n := control.Admin.Exists(ctx, "held back").Val(); n != 0 {
		t.Error("what the replica was held back from is there")
	}
	if err := s.Rejoin(ctx); err != nil {
		t.Fatal(err)
	}
	// The writes of the promoted one are held back from nobody.
	for write("after") != 1 && ctx.Err() == nil {
	}
	if err := s.Restart(ctx, small); !errors.Is(err, server.ErrTopology) {
		t.Errorf("restart: %v", err)
	}
	everyNode(t, s, spec.Workspace, "primary", "replica", "sentinel")
}

func TestClusterIsWhole(t *testing.T) { onEveryKind(t, clusterIsWhole) }

func clusterIsWhole(t *testing.T, kind string, starter server.Starter, spec server.Spec) {
	spec.Topology = server.Cluster
	s, ok := start(t, starter, spec).(server.Sharded)
	if !ok || len(s.Shards()) != 3 || s.Shards()[0].Addr != s.Endpoint().Addr {
		t.Fatalf("%T is no cluster of three", s)
	}
	if info := s.Info(); info.Kind != kind || info.Topology != server.Cluster {
		t.Errorf("info: %+v", info)
	}
	ctx := within(t, time.Minute)
	clients := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.Endpoint().Addr}})
	defer clients.Close()
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} { // slots in every third
		if err := clients.Set(ctx, key, "1", 0).Err(); err != nil {
			t.Errorf("set %s: %v", key, err)
		}
	}
	// Four of the slots are the bus's: a client that comes when the rest is taken is told so, in
	// more words than elsewhere.
	control := openControl(t, s)
	if err := server.VerifyMaxClients(ctx, control, 20); err != nil {
		t.Error(err)
	}
	clients.Close()
	held := 0
	for ; held < 20; held++ {
		connection, err := server.OpenRaw(ctx, s.Endpoint(), "held")
		if errors.Is(err, server.ErrRefused) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
	}
	if want := 20 - server.ControlConnections - server.BusLinks(3); held > want || held < want-2 { // clients may not be gone yet
		t.Errorf("%d connections fit beside control and bus, want %d", held, want)
	}
	if said := refusal(t, s.Endpoint().Addr); said != "-ERR max number of clients + cluster connections reached" {
		t.Errorf("refused with %q", said)
	}
	everyNode(t, s, spec.Workspace, "shard-1", "shard-2", "shard-3")
}

// everyNode stops a server: its log has all nodes then, and nothing is left of any.
func everyNode(t *testing.T, s server.Server, w *server.Workspace, roles ...string) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	log, err := s.Log(t.Context())
	for _, role := range roles {
		if !strings.Contains(string(log), "==> "+role+", 127.0.0.1:") {
			t.Errorf("the log lacks %s: %v", role, err)
		}
	}
	if !strings.Contains(string(log), "Ready to accept connections") {
		t.Error("the log has no words of Redis's")
	}
	folderIsEmpty(t, w)
}

// What is at an address is one server, and so is a container that others do not reach; auto takes
// processes then.
func TestTopologiesThatAreNotToBeHad(t *testing.T) {
	refuses := func(starter server.Starter, why string) {
		t.Helper()
		_, err := starter(t.Context(), server.Spec{Name: "none", Topology: server.Cluster})
		if !errors.Is(err, server.ErrTopology) || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "--server process") {
			t.Errorf("%v; want %q, and what to use", err, why)
		}
	}
	refuses(server.Attach("redis://127.0.0.1:1"), "address")
	t.Run("published ports", func(t *testing.T) {
		image := needImage(t)
		refuses(container.StartPublished, "published")
		needProcess(t)
		spec := server.Spec{Config: small, Image: image, Workspace: newWorkspace(t), Name: "instead", Topology: server.Sentinel}
		if info := start(t, container.OrProcesses(container.StartPublished), spec).Info(); info.Kind != server.KindProcess {
			t.Errorf("instead of containers that do not reach each other: %+v", info)
		}
	})
}

// refusal is what a raw socket reads that says nothing.
func refusal(t *testing.T, addr string) string {
	t.Helper()
	connection, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(connection).ReadString('\n')
	return strings.TrimSpace(line)
}
