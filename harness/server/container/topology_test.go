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

// forEachTopologyKind runs a test of a topology on each kind of server that supports it.
func forEachTopologyKind(t *testing.T, test func(t *testing.T, kind string, starter server.Starter, spec server.Spec)) {
	t.Run("processes", func(t *testing.T) {
		needProcess(t)
		spec := server.Spec{Config: small, Workspace: newWorkspace(t), Name: "several"}
		test(t, server.KindProcess, process.Start, spec)
	})
	t.Run("containers", func(t *testing.T) {
		starter := func(ctx context.Context, spec server.Spec) (server.Server, error) {
			s, err := container.Start(ctx, spec)
			if errors.Is(err, server.ErrTopology) {
				t.Skip(err)
			}
			return s, err
		}
		spec := server.Spec{Config: small, Image: needImage(t), Workspace: newWorkspace(t), Name: "several"}
		test(t, server.KindContainer, starter, spec)
	})
}

// A failover loses the writes that the replica held back and no others, and the killed primary
// comes back as a replica.
func TestSentinelFailsOver(t *testing.T) { forEachTopologyKind(t, sentinelFailsOver) }

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
	clients := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: server.PrimaryName, SentinelAddrs: s.Sentinels(), PipelinePoolSize: -1,
	})
	defer clients.Close()
	ctx := within(t, time.Minute)
	write := func(key string) int64 {
		var acknowledged *redis.Cmd
		_, err := clients.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, key, "1", 0)
			acknowledged = p.Do(ctx, "WAIT", 1, 200) // refers to this connection's writes
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
		t.Error("a replicated write is lost")
	}
	if n := control.Admin.Exists(ctx, "held back").Val(); n != 0 {
		t.Error("a write that the replica held back is not lost")
	}
	if err := s.Rejoin(ctx); err != nil {
		t.Fatal(err)
	}
	// The new primary's writes are replicated again.
	for write("after") != 1 && ctx.Err() == nil {
	}
	if err := s.Restart(ctx, small); !errors.Is(err, server.ErrTopology) {
		t.Errorf("restart: %v", err)
	}
	everyNode(t, s, spec.Workspace, "primary", "replica", "sentinel")
}

func TestClusterIsWhole(t *testing.T) { forEachTopologyKind(t, clusterIsWhole) }

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
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} { // their hash slots are spread over all shards
		if err := clients.Set(ctx, key, "1", 0).Err(); err != nil {
			t.Errorf("set %s: %v", key, err)
		}
	}
	// The bus takes four of the slots. The refusal mentions it, unlike that of a single server.
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
	want := 20 - server.ControlConnections - server.BusLinks(3)
	if held > want || held < want-2 { // closed clients may still hold slots
		t.Errorf("%d connections fit beside control and bus, want %d", held, want)
	}
	if got := refusal(t, s.Endpoint().Addr); got != "-ERR max number of clients + cluster connections reached" {
		t.Errorf("refused with %q", got)
	}
	everyNode(t, s, spec.Workspace, "shard-1", "shard-2", "shard-3")
}

// everyNode stops a server, and checks that its log has all nodes and that nothing is left of them.
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

// An address is one server, and containers with published ports cannot reach each other; auto takes
// processes then.
func TestUnsupportedTopologies(t *testing.T) {
	refuses := func(starter server.Starter, why string) {
		t.Helper()
		_, err := starter(t.Context(), server.Spec{Name: "none", Topology: server.Cluster})
		if !errors.Is(err, server.ErrTopology) {
			t.Errorf("not ErrTopology: %v", err)
		}
		wantOneLine(t, err, why, "--server process")
	}
	refuses(server.Attach("redis://127.0.0.1:1"), "address")
	t.Run("published ports", func(t *testing.T) {
		image := needImage(t)
		refuses(container.StartPublished, "published")
		needProcess(t)
		spec := server.Spec{
			Config: small, Image: image, Workspace: newWorkspace(t), Name: "instead", Topology: server.Sentinel,
		}
		info := start(t, container.OrProcesses(container.StartPublished), spec).Info()
		if info.Kind != server.KindProcess {
			t.Errorf("instead of containers that do not reach each other: %+v", info)
		}
	})
}

// refusal returns the first line that the server sends to a raw connection.
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
