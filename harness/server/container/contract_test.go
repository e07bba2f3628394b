package container_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
	"github.com/lockjam/lockjam/harness/server/process"
)

// subject is a server that is held to the contract.
type subject struct {
	server.Server
	ours      bool // lockjam started it, so it may be killed
	workspace *server.Workspace
	pid       int // 0: unknown
}

// TestContract checks the same contract for every kind of server. Its steps build on each other.
func TestContract(t *testing.T) {
	inContainer := func(starter server.Starter) func(t *testing.T) *subject {
		return func(t *testing.T) *subject {
			image, w := needImage(t), newWorkspace(t)
			spec := server.Spec{Config: small, Image: image, Workspace: w, Name: "contract"}
			return &subject{start(t, starter, spec), true, w, 0}
		}
	}
	kinds := []struct {
		name, kind string
		start      func(t *testing.T) *subject
	}{
		{"process", server.KindProcess, startProcess},
		{"container", server.KindContainer, inContainer(container.Start)},
		{"container with published ports", server.KindContainer, inContainer(container.StartPublished)},
		// Attached to a process that the test starts: actions of an owner are refused, the rest
		// holds.
		{"address", server.KindAddress, func(t *testing.T) *subject {
			under := startProcess(t)
			s := start(t, server.Attach("redis://"+under.Endpoint().Addr), server.Spec{})
			return &subject{s, false, under.workspace, under.pid}
		}},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.start(t)
			if info := s.Info(); info.Kind != kind.kind || info.Addr != s.Endpoint().Addr {
				t.Errorf("info: %+v", info)
			}
			t.Run("configuration is in force", s.configuration)
			t.Run("control works when every slot is taken", s.fullServer)
			t.Run("redis-cli", s.console)
			if !s.ours {
				t.Run("is not ours", s.notOurs)
				return
			}
			t.Run("kill and restart", s.killAndRestart)
			t.Run("pause and resume", s.pauseAndResume)
			t.Run("restart with edited configuration", s.editedConfiguration)
			t.Run("restart keeps the data where save points are set", s.persistence)
			t.Run("restart under a swarm keeps slots for control", s.swarmAtRestart)
			t.Run("restart from paused and from killed", s.restartFromAnyState)
			t.Run("log has every life", s.everyLife)
			t.Run("stop", s.stop)
		})
	}
}

func startProcess(t *testing.T) *subject {
	needProcess(t)
	w := newWorkspace(t)
	s := start(t, process.Start, server.Spec{Config: small, Workspace: w, Name: "contract"})
	return &subject{s, true, w, processID(t, s)}
}

func (s *subject) configuration(t *testing.T) {
	control := openControl(t, s)
	if err := server.VerifyMaxClients(t.Context(), control, 20); err != nil {
		t.Error(err)
	}
	got, err := control.Admin.ConfigGet(t.Context(), "slowlog-max-len").Result()
	if err != nil || got["slowlog-max-len"] != "77" {
		t.Errorf("slowlog-max-len: %v, %v", got, err)
	}
	err = server.VerifyMaxClients(t.Context(), control, 21)
	if err == nil || !strings.Contains(err.Error(), "maxclients 20 instead of 21") {
		t.Errorf("a wrong maxclients passes: %v", err)
	}
	list, err := control.Sampler.ClientList(t.Context()).Result()
	for _, name := range []string{"name=lockjam-control-sampler", "name=lockjam-control-admin"} {
		if err != nil || !strings.Contains(list, name) {
			t.Errorf("%s is not in CLIENT LIST: %v\n%s", name, err, list)
		}
	}
}

// console runs redis-cli as an operator would: on a server with free slots, on a full one, and with
// a command that does not end.
func (s *subject) console(t *testing.T) {
	shell, ok := s.Server.(server.Console)
	if !ok {
		t.Fatal("no redis-cli can be run against it")
	}
	run := func(ctx context.Context, arguments ...string) string {
		var out bytes.Buffer
		typed, err := shell.RedisCLI(ctx, &out, arguments...)
		if err != nil || !strings.Contains(typed, "-cli") || !strings.HasSuffix(typed, strings.Join(arguments, " ")) {
			t.Errorf("%q: %v", typed, err)
		}
		return strings.TrimSpace(out.String())
	}
	if printed := run(t.Context(), "ping"); printed != "PONG" {
		t.Errorf("ping: %q", printed)
	}
	bounded, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	started := time.Now()
	if printed := run(bounded, "monitor"); !strings.HasPrefix(printed, "OK") || time.Since(started) > 5*time.Second {
		t.Errorf("monitor, after %v: %q", time.Since(started), printed)
	}
	control := openControl(t, s)
	// In a container that redis-cli is still running; it ends with its connection.
	if err := control.Admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	_ = control.Close()
	openControl(t, s)
	swarm := fill(t, s.Endpoint().Addr, 20-server.ControlConnections)
	if printed := run(t.Context(), "ping"); !strings.Contains(printed, "max number of clients reached") {
		t.Errorf("ping on a full server: %q", printed)
	}
	for _, c := range swarm {
		_ = c.Close()
	}
}

func (s *subject) fullServer(t *testing.T) {
	control := openControl(t, s)
	swarm := fill(t, s.Endpoint().Addr, 20-server.ControlConnections)
	_, refusal := ask(t, s.Endpoint().Addr)
	if !strings.Contains(refusal, "max number of clients") {
		t.Errorf("one connection more is answered with %q", refusal)
	}
	_, err := server.OpenControl(t.Context(), server.Endpoint{Addr: s.Endpoint().Addr})
	if !errors.Is(err, server.ErrRefused) {
		t.Errorf("a second control on a full server: %v", err)
	}
	// Neither a context that has ended nor a pipeline may lose the connection.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = control.Sampler.Ping(ended).Err()
	pipe := control.Sampler.Pipeline()
	pipe.Ping(t.Context())
	pipe.Ping(t.Context())
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Errorf("pipeline on the sampler: %v", err)
	}
	if err := control.Sampler.Info(t.Context(), "clients").Err(); err != nil {
		t.Errorf("sampler: %v", err)
	}
	if err := control.Admin.Set(t.Context(), "contract", "1", 0).Err(); err != nil {
		t.Errorf("admin: %v", err)
	}
	for _, connection := range swarm {
		connection.Close()
	}
}

func (s *subject) killAndRestart(t *testing.T) {
	ctx := within(t, 20*time.Second)
	addr := s.Endpoint().Addr
	control := openControl(t, s)
	if err := s.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if connection, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after kill: %v, %v", connection, err)
	}
	// The first call may report how the connection was lost; every later one answers
	// ErrControlLost, and none dials.
	for range 3 {
		if err := control.Admin.Ping(ctx).Err(); err == nil {
			t.Error("a control client answers after the server was killed")
		}
	}
	if err := control.Sampler.Ping(ctx).Err(); !errors.Is(err, server.ErrControlLost) {
		if err := control.Sampler.Ping(ctx).Err(); !errors.Is(err, server.ErrControlLost) {
			t.Errorf("control after kill: %v", err)
		}
	}
	if err := s.Kill(ctx); err == nil {
		t.Error("a server that is down can be killed again")
	}
	if err := s.Restart(ctx, small); err != nil {
		t.Fatal(err)
	}
	if s.Endpoint().Addr != addr {
		t.Errorf("it came back at %s instead of %s", s.Endpoint().Addr, addr)
	}
	openControl(t, s)
}

func (s *subject) pauseAndResume(t *testing.T) {
	ctx := within(t, 20*time.Second)
	control := openControl(t, s)
	if err := s.Pause(ctx); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- control.Admin.Ping(ctx).Err() }()
	select {
	case err := <-answered:
		t.Errorf("a paused server answers: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := s.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-answered:
		if err != nil {
			t.Errorf("the answer after resume: %v", err)
		}
	case <-ctx.Done():
		t.Error("no answer after resume")
	}
}

func (s *subject) editedConfiguration(t *testing.T) {
	ctx := within(t, 20*time.Second)
	if err := s.Restart(ctx, small.With(server.Config{"maxclients": "40"})); err != nil {
		t.Fatal(err)
	}
	if err := server.VerifyMaxClients(ctx, openControl(t, s), 40); err != nil {
		t.Error(err)
	}
}

func (s *subject) persistence(t *testing.T) {
	ctx := within(t, 30*time.Second)
	saving := small.With(server.Config{"save": "3600 1"})
	for _, step := range []struct {
		config server.Config
		want   int64
	}{
		{small, 0},  // the server before it did not save
		{saving, 0}, // set now, to be saved at the next restart
		{saving, 1}, // and again
		{small, 1},  // read at the start; no longer saved
		{small, 1},  // the file of the last save is still there
	} {
		if err := s.Restart(ctx, step.config); err != nil {
			t.Fatal(err)
		}
		control := openControl(t, s)
		got, err := control.Admin.Exists(ctx, "kept").Result()
		if err != nil || got != step.want {
			t.Errorf("save %s: the key exists %d times instead of %d: %v", step.config["save"], got, step.want, err)
		}
		if err := control.Admin.Set(ctx, "kept", "1", 0).Err(); err != nil {
			t.Error(err)
		}
		if step.config["save"] == `""` {
			if err := control.Admin.Set(ctx, "lost", "1", 0).Err(); err != nil {
				t.Error(err)
			}
		}
		lost, err := control.Admin.Exists(ctx, "lost").Result()
		if err != nil || (lost == 1) != (step.config["save"] == `""`) {
			t.Errorf("save %s: the key that is never saved exists %d times: %v", step.config["save"], lost, err)
		}
	}
}

// swarmAtRestart lets far more workers than there are slots dial as fast as they can while the
// server restarts.
func (s *subject) swarmAtRestart(t *testing.T) {
	if !s.hasGate(t) {
		t.Skip("this server cannot change its port while it runs (Redis before 7.0): " +
			"there is no gate, and the swarm may be faster")
	}
	ctx := within(t, 20*time.Second)
	stop := make(chan struct{})
	var swarm sync.WaitGroup
	for range 100 {
		swarm.Go(func() { occupy(s.Endpoint().Addr, stop) })
	}
	defer swarm.Wait()
	defer close(stop)
	for range 3 {
		if err := s.Restart(ctx, small); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the swarm has taken the rest by then
		control, err := server.OpenControl(ctx, s.Endpoint())
		if err != nil {
			t.Fatal(err)
		}
		if err := control.Close(); err != nil {
			t.Error(err)
		}
	}
}

// hasGate reports whether the server can change its port while it runs.
func (s *subject) hasGate(t *testing.T) bool {
	t.Helper()
	admin := openControl(t, s).Admin
	port, err := admin.ConfigGet(t.Context(), "port").Result()
	if err != nil {
		t.Fatal(err)
	}
	return admin.ConfigSet(t.Context(), "port", port["port"]).Err() == nil
}

func (s *subject) restartFromAnyState(t *testing.T) {
	ctx := within(t, 20*time.Second)
	for _, down := range []func(context.Context) error{s.Pause, s.Kill} {
		if err := down(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(ctx, small); err != nil {
			t.Fatal(err)
		}
		openControl(t, s)
	}
}

func (s *subject) everyLife(t *testing.T) {
	log, err := s.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// One at the start and one per restart above.
	lives := 1 + 1 + 1 + 5 + 3 + 2
	if !s.hasGate(t) {
		lives += 1 - 3 // one that could not move from its gate; those with a swarm were skipped
	}
	if got := bytes.Count(log, []byte("Ready to accept connections")); got != lives {
		t.Errorf("the log has %d lives instead of %d", got, lives)
	}
}

func (s *subject) stop(t *testing.T) {
	ctx := within(t, 20*time.Second)
	addr := s.Endpoint().Addr
	log, err := s.Log(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Pause(ctx); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := s.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after stop: %v", err)
	}
	if after, err := s.Log(ctx); err != nil || !bytes.HasPrefix(after, log) {
		t.Errorf("the log after stop does not begin with the log before: %v", err)
	}
	for verb, err := range map[string]error{
		"kill": s.Kill(ctx), "pause": s.Pause(ctx), "restart": s.Restart(ctx, small),
	} {
		if err == nil {
			t.Errorf("%s works after stop", verb)
		}
	}
	folderIsEmpty(t, s.workspace)
	if s.Info().Kind == server.KindContainer {
		if left := containers(t, "dev.lockjam.workspace="+s.workspace.Dir()); left != 0 {
			t.Errorf("%d containers are left", left)
		}
	}
}

func (s *subject) notOurs(t *testing.T) {
	ctx := t.Context()
	for verb, err := range map[string]error{
		"kill": s.Kill(ctx), "pause": s.Pause(ctx), "resume": s.Resume(ctx), "restart": s.Restart(ctx, small),
	} {
		if !errors.Is(err, server.ErrNotOurs) || !strings.Contains(err.Error(), "lockjam does not "+verb+" it") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if log, err := s.Log(ctx); err != nil || len(log) > 0 {
		t.Errorf("log: %q, %v", log, err)
	}
	for range 2 {
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	if _, answer := ask(t, s.Endpoint().Addr); answer != "+PONG" {
		t.Errorf("stop has not left the server running: PING is answered with %q", answer)
	}
}

// openControl opens a control and closes it at the end of the step. It retries for about a second,
// because the slots of connections that were just closed may not be free yet.
func openControl(t *testing.T, s server.Server) *server.Control {
	t.Helper()
	control, err := server.OpenControl(t.Context(), s.Endpoint())
	for attempt := 0; errors.Is(err, server.ErrRefused) && attempt < 500; attempt++ {
		time.Sleep(2 * time.Millisecond)
		control, err = server.OpenControl(t.Context(), s.Endpoint())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := control.Close(); err != nil {
			t.Error(err)
		}
	})
	return control
}

// processID returns the server's pid.
func processID(t *testing.T, s server.Server) int {
	t.Helper()
	control, err := server.OpenControl(t.Context(), s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	info, err := control.Admin.InfoMap(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	return atoi(t, info["Server"]["process_id"])
}

// ask dials, sends PING, and returns the connection and the first line of the answer.
func ask(t *testing.T, addr string) (net.Conn, string) {
	t.Helper()
	connection, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	connection.SetDeadline(time.Now().Add(5 * time.Second))
	connection.Write([]byte("PING\r\n")) // may fail on a full server, whose answer can be read all the same
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return connection, strings.TrimSpace(answer)
}

// fill takes n slots. It retries, as openControl does.
func fill(t *testing.T, addr string, n int) []net.Conn {
	t.Helper()
	var taken []net.Conn
	for attempt := 0; len(taken) < n; attempt++ {
		connection, answer := ask(t, addr)
		switch {
		case answer == "+PONG":
			taken = append(taken, connection)
		case attempt > 500:
			t.Fatalf("slot %d of %d: PING is answered with %q", len(taken)+1, n, answer)
		default:
			time.Sleep(2 * time.Millisecond)
		}
	}
	return taken
}

// occupy takes a slot and keeps it until stop is closed. It redials every 2 ms while it has none.
func occupy(addr string, stop <-chan struct{}) {
	for {
		if connection, err := net.Dial("tcp", addr); err == nil {
			ended := make(chan struct{})
			go func() {
				select {
				case <-stop:
				case <-ended:
				}
				connection.Close()
			}()
			// A slot is kept until then; a refused connection ends with an error.
			buffer := make([]byte, 64)
			for err == nil {
				_, err = connection.Read(buffer)
			}
			close(ended)
		}
		select {
		case <-stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}
