package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// reportsOf names the run folder that a process of its own is to report on, so that the
// peak of its memory is that of the reports.
const reportsOf = "LOCKJAM_BENCH_REPORTS_OF"

func TestMain(m *testing.M) {
	if folder := os.Getenv(reportsOf); folder != "" {
		err := reportAll(folder)
		if err == nil {
			err = printPeak()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// printPeak prints the most memory that this process has had, in KiB. What the system
// counts for a child that ended has the parent's memory in it.
func printPeak() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var peak int
	if _, err := fmt.Sscan(after, &peak); err != nil {
		return err
	}
	fmt.Println(peak)
	return nil
}

// reportAll writes a run in every format.
func reportAll(folder string) error {
	r, err := rundir.Load(folder)
	if err != nil {
		return err
	}
	for _, format := range Formats() {
		if err := Write(io.Discard, format, r); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkReports makes all reports of a run with ten million operations.
func BenchmarkReports(b *testing.B) {
	const arms, each = 20, 500_000
	folder := b.TempDir()
	run := sample.Run()
	run.Scenarios = run.Scenarios[:1]
	run.Scenarios[0].Arms = nil
	for i := range arms {
		a := result.Arm{Name: fmt.Sprint("arm-", i), Repeat: 1, Remedy: "none", Outcome: result.Pass,
			Folder: fmt.Sprint("busy/arm-", i)}
		a.Phases = phasesOf(1e4, 2e4, 5e4)
		if err := recordBusy(filepath.Join(folder, a.Folder), each, uint64(i)); err != nil {
			b.Fatal(err)
		}
		run.Scenarios[0].Arms = append(run.Scenarios[0].Arms, a)
	}
	data, err := json.Marshal(run)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, rundir.RunFile), data, 0o644); err != nil {
		b.Fatal(err)
	}
	measure(b, folder)
}

// BenchmarkReportsGolden makes those of a few recorded arms, charts and all.
func BenchmarkReportsGolden(b *testing.B) { measure(b, "../testdata/golden") }

// measure reports on a run in a process of its own.
func measure(b *testing.B, folder string) {
	var peak, busy float64
	for b.Loop() {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), reportsOf+"="+folder)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		kib, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			b.Fatal(err)
		}
		peak = max(peak, kib/1024)
		busy += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/run")
	b.ReportMetric(busy/float64(b.N), "cpu-s/run")
	b.ReportMetric(peak, "peak-MiB")
}

// recordBusy records so many operations of 50 seconds: 100 workers and 8 tenants, with
// times that vary as they do. It is closed before the recorder would give up on a disk
// that is slower than this loop.
func recordBusy(dir string, n int, seed uint64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	r, err := history.Create(filepath.Join(dir, rundir.HistoryFile),
		history.Header{Scenario: "busy", Arm: filepath.Base(dir)})
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(seed, 1))
	const length = 50 * time.Second
	vary := func(mean time.Duration) time.Duration {
		return time.Duration(float64(mean) * (0.5 + rnd.ExpFloat64()/2))
	}
	next := time.Duration(0)
	for i := range n {
		at := length * time.Duration(i) / time.Duration(n)
		op := history.Op{Worker: int32(i % 100), Tenant: int32(i % 8), Tries: 1, Fence: int64(i/8) + 1,
			Window: int64(at / time.Second), Count: int64(i % 1000), Admitted: true, Ended: at + 20*time.Millisecond}
		op.Released = op.Ended - vary(10*time.Microsecond)
		op.Worked = op.Released - vary(80*time.Microsecond)
		op.Granted = op.Worked - vary(400*time.Microsecond)
		op.Begun = max(op.Granted-vary(300*time.Microsecond), 0)
		op.Intended = max(op.Begun-vary(20*time.Microsecond), 0)
		r.Op(op)
		if at >= next {
			r.Sample(answered(at, "a", 100, 128, int64(i/10)))
			next += 100 * time.Millisecond
		}
	}
	return r.Close()
}

func phasesOf(ends ...float64) []result.Phase {
	var phases []result.Phase
	start := 0.0
	for i, end := range ends {
		phases = append(phases, result.Phase{Name: []string{history.Baseline, history.Incident, history.Recovery}[i],
			StartMS: start, EndMS: end, GoodputPerS: 10})
		start = end
	}
	return phases
}

// answered is a sample that the server answered.
func answered(at time.Duration, runID string, clients, limit, rejected int64) history.Sample {
	return history.Sample{At: at, Server: &history.Server{RunID: runID, Connected: clients, MaxClients: limit,
		Rejected: rejected}}
}
