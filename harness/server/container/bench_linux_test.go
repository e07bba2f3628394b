package container_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
)

// BenchmarkLife measures the start and stop of an idle server: the time, and the CPU time of the
// whole machine, since most of a container's is used by Docker. Run it on an otherwise idle
// machine.
func BenchmarkLife(b *testing.B) {
	for _, kind := range []string{server.KindProcess, server.KindContainer} {
		b.Run(kind, func(b *testing.B) {
			start, image, err := container.Choose(b.Context(), kind, os.Getenv("LOCKJAM_REDIS_IMAGE"), nil)
			if err != nil {
				b.Skip(err)
			}
			workspace, err := server.NewWorkspace("bench")
			if err != nil {
				b.Fatal(err)
			}
			before := busy(b)
			for b.Loop() {
				s, err := start(b.Context(), server.Spec{Config: small, Image: image, Workspace: workspace,
					Name: "life"})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((busy(b)-before)/float64(b.N), "cpu-ms/op")
			if err := workspace.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// busy returns the CPU time in ms that the machine has used since it was started (proc(5),
// /proc/stat: user, nice, system, idle, iowait, irq and softirq in hundredths of a second).
func busy(b *testing.B) float64 {
	b.Helper()
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(strings.SplitN(string(stat), "\n", 2)[0])
	sum := 0.0
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n * 10
	}
	return sum
}
