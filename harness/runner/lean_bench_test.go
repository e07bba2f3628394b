package runner

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
	"github.com/lockjam/lockjam/harness/swarm"
)

// lean is a swarm of so many workers, each with a client of its own, in groups of five that
// want one lock.
const lean = `
name: lean
title: Many workers, each with a client of its own
server: {maxclients: %[1]d, config: {save: '""'}}
swarm:
  instances: %[2]d
  client: {dial_timeout_ms: 5000, read_timeout_ms: 5000, write_timeout_ms: 5000, pool_timeout_ms: 5000}
  lock: {tenants: %[3]d, hold_ms: 5, poll_ms: 50}
  arrivals: {tenant: by-worker, think_ms: %[4]d, think_jitter_ms: %[4]d, ramp_ms: %[4]d}
trigger: {kind: none}
phases: {baseline_ms: 3000, baseline_max_ms: 30000, incident_ms: 2000}
arms:
  - {name: control, remedy: none}
`

// leanThink keeps what all workers do together at about 2,500 decisions a second.
func leanThink(workers int) time.Duration { return time.Duration(workers) * time.Second / 2500 }

func leanScenario(workers int) (*scenario.Scenario, error) {
	source := fmt.Appendf(nil, lean, workers+500, workers, workers/5, leanThink(workers).Milliseconds())
	return scenario.Parse("lean.yaml", source)
}

// leanRole is what a child process of the benchmark does: bare or arm, and for how many.
const leanRole = "LOCKJAM_TEST_LEAN"

// leanChild does what the benchmark asks of a process of its own, and reports whether it
// was one. It prints a line for each thing that the benchmark waits for.
func leanChild() bool {
	role, count, ok := strings.Cut(os.Getenv(leanRole), " ")
	if !ok {
		return false
	}
	workers, err := strconv.Atoi(count)
	if err == nil {
		err = map[string]func(int) error{"bare": leanBare, "arm": leanArm}[role](workers)
	}
	if err != nil {
		fmt.Println("failed", err)
	}
	return true
}

// leanArm runs an arm as lockjam does.
func leanArm(workers int) error {
	sc, err := leanScenario(workers)
	if err != nil {
		return err
	}
	out, err := os.MkdirTemp("", "lockjam-lean-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	r, _, err := Run(context.Background(), Options{
		Scenarios: []*scenario.Scenario{sc}, Start: process.Start, Out: out, Seed: 1,
		Observe: func(e result.Event) {
			switch {
			case e.Kind == result.ArmStarted:
				fmt.Println("begun")
			case e.Kind == result.Sampled && e.Load.Connected >= int64(workers):
				fmt.Println("connected")
			case e.Kind == result.PhaseEvent && e.Name == history.End:
				fmt.Println("over")
				leanProfile()
			case e.Kind == result.ArmFinished:
				fmt.Println("judged", e.Result.Outcome, strings.Join(e.Result.Reasons, "; "))
			}
		},
	})
	if err != nil {
		return err
	}
	fmt.Println("done", r.Outcome)
	return nil
}

// leanProfile writes where the memory is, where it is asked to.
func leanProfile() {
	if path := os.Getenv("LOCKJAM_TEST_LEAN_PROFILE"); path != "" {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintf(os.Stderr, "heap in use %d MiB, idle %d, released %d; stacks %d; allocated %d; goroutines %d; GCs %d\n",
			m.HeapInuse>>20, m.HeapIdle>>20, m.HeapReleased>>20, m.StackSys>>20, m.HeapAlloc>>20, runtime.NumGoroutine(),
			m.NumGC)
		if f, err := os.Create(path); err == nil {
			_ = pprof.Lookup("heap").WriteTo(f, 0)
			_ = f.Close()
		}
	}
}

// leanBare runs as many bare clients with the same options, each in a goroutine that takes
// and releases a lock as often.
func leanBare(workers int) error {
	ws, err := server.NewWorkspace("lean-bare")
	if err != nil {
		return err
	}
	defer ws.Close()
	s, err := process.Start(context.Background(), server.Spec{Workspace: ws, Name: "redis",
		Config: server.Config{"maxclients": strconv.Itoa(workers + 500), "save": `""`}})
	if err != nil {
		return err
	}
	defer s.Stop(context.Background())
	fmt.Println("begun")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var running sync.WaitGroup
	var connected atomic.Int64
	all := make(chan struct{})
	for i := range workers {
		rdb := redis.NewClient(bareOptions(s.Endpoint().Addr))
		running.Go(func() {
			defer rdb.Close()
			if rdb.Ping(ctx).Err() == nil && connected.Add(1) == int64(workers) {
				close(all)
			}
			select {
			case <-all:
			case <-ctx.Done():
			}
			leanLoop(ctx, rdb, i, leanThink(workers))
		})
	}
	select {
	case <-all:
	case <-time.After(time.Minute):
		return fmt.Errorf("%d of %d bare clients connected within a minute (ulimit -n?)", connected.Load(), workers)
	}
	fmt.Println("connected")
	time.Sleep(5 * time.Second)
	fmt.Println("over")
	leanProfile()
	stop()
	running.Wait()
	fmt.Println("done")
	return nil
}

var bareRelease = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) else return 0 end`)

// leanLoop takes and releases a lock until the context ends.
func leanLoop(ctx context.Context, rdb *redis.Client, worker int, think time.Duration) {
	lock, token := fmt.Sprintf("lock:%d", worker/5), strconv.Itoa(worker)
	pause := time.NewTimer(think * time.Duration(worker%100) / 100)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		granted, err := rdb.SetNX(ctx, lock, token, 0).Result()
		if err == nil && !granted {
			pause.Reset(50 * time.Millisecond)
			continue
		}
		time.Sleep(5 * time.Millisecond)
		_ = bareRelease.Run(ctx, rdb, []string{lock}, token).Err()
		pause.Reset(think)
	}
}

func bareOptions(addr string) *redis.Options {
	c := swarm.Defaults().Client
	return &redis.Options{
		Addr: addr, Protocol: c.Protocol, PoolSize: c.PoolSize, MaxRetries: c.MaxRetries, DialerRetries: c.DialerRetries,
		DialTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		PoolTimeout: 5 * time.Second, ConnMaxIdleTime: -1, ReadBufferSize: c.ReadBufferBytes,
		WriteBufferSize: c.WriteBufferBytes, DisableIdentity: c.DisableIdentity, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, addr)
		},
	}
}

// leanFigures are what the benchmark reads of one child.
type leanFigures struct {
	before, running, most int64 // resident bytes: before the workers, when it is over, and at most
	connected, judged     time.Duration
	outcome               string
}

// leanRun runs a child and reads its resident memory whenever it says something.
func leanRun(b *testing.B, role string, workers int) (f leanFigures) {
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", leanRole, role, workers))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _, _ = io.Copy(io.Discard, out); _ = cmd.Wait() }()
	var begun, over time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		now := resident(b, cmd.Process.Pid, "VmRSS")
		switch word {
		case "begun":
			begun, f.before = time.Now(), now
		case "connected":
			if f.connected == 0 {
				f.connected = time.Since(begun)
			}
		case "over":
			over, f.running = time.Now(), now
		case "judged":
			f.judged, f.outcome = time.Since(over), rest
			f.most = resident(b, cmd.Process.Pid, "VmHWM")
		case "failed":
			b.Fatal(rest)
		}
	}
	return f
}

// resident is a figure of /proc/PID/status, in bytes.
func resident(b *testing.B, pid int, name string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, name+": %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// What a worker with a client and a connection of its own takes beside a bare client with the
// same options that runs in the same minute; how long all take to connect; and how long an
// arm takes from its end to its verdict.
//
//	go test -run '^$' -bench Lean -benchtime 1x ./harness/runner
func BenchmarkLean(b *testing.B) {
	for _, workers := range []int{1000, 10000, 19000, 25000} {
		b.Run(strconv.Itoa(workers), func(b *testing.B) {
			var files syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && int(files.Max) < workers+600 {
				b.Skipf("%d workers need as many file descriptors, in this process and in Redis, and the hard limit is %d "+
					"(ulimit -Hn)", workers, files.Max)
			}
			for b.Loop() {
				bare, arm := leanRun(b, "bare", workers), leanRun(b, "arm", workers)
				per := func(f leanFigures) float64 { return float64(f.running-f.before) / float64(workers) / 1024 }
				b.ReportMetric(per(bare), "KiB/bare-client")
				b.ReportMetric(per(arm), "KiB/worker")
				b.ReportMetric(float64(arm.most-arm.before)/float64(workers)/1024, "KiB/worker-at-most")
				b.ReportMetric(per(arm)/per(bare), "ratio")
				b.ReportMetric(bare.connected.Seconds(), "s-bare-connected")
				b.ReportMetric(arm.connected.Seconds(), "s-connected")
				b.ReportMetric(arm.judged.Seconds(), "s-judged")
				b.ReportMetric(0, "ns/op")
				b.Log(arm.outcome)
			}
		})
	}
}
