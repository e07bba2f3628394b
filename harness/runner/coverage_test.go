package runner

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/stats"
)

// What `make coverage` sets: more rounds, and the baselines of a whole catalogue.
var (
	coverageRounds = flag.Int("coverage-rounds", 400, "simulated arms for each recorded baseline and each true ratio")
	coverageRun    = flag.String("coverage-run", golden, "run folder whose baselines are resampled")
)

// recordedGoodput is the goodput of a recorded baseline.
type recordedGoodput struct {
	work time.Duration // that a decision takes
	bins []float64
}

// recordedBaselines are those of a run folder that are long enough to draw from.
func recordedBaselines(t *testing.T) (all []recordedGoodput) {
	r, err := rundir.Load(*coverageRun)
	if err != nil {
		t.Fatal(err)
	}
	root, err := rundir.Open(*coverageRun)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			of, arm, h, err := recordedArm(root, &a)
			if err != nil {
				t.Fatal(err)
			}
			e := judge.Gather(of.For(arm), arm, h)
			baseline := e.Time.Baseline
			one := recordedGoodput{e.Scenario.Swarm.Lock.HoldMS.Duration(), make([]float64, (baseline.To-baseline.From)/stats.Bin)}
			for _, op := range h.Ops {
				i := int((op.Ended - baseline.From) / stats.Bin)
				if op.Outcome == history.OK && op.Ended >= baseline.From && i < len(one.bins) {
					one.bins[i]++
				}
			}
			if len(one.bins) >= 12 && stats.Mean(one.bins) > 0 {
				all = append(all, one)
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no baseline to resample", *coverageRun)
	}
	return all
}

// source draws n bins of goodput whose true mean is 1.
type source func(rng *rand.Rand, n int) []float64

// resampled draws blocks of a recorded baseline, of a length that is random and as long as
// four pieces of work on average, half a second at least: the stationary bootstrap (Politis
// and Romano, JASA 89, 1994).
func resampled(r recordedGoodput) source {
	mean := stat.Mean(r.bins, nil)
	block := math.Max(4*r.work.Seconds()/stats.Bin.Seconds(), 5)
	return func(rng *rand.Rand, n int) []float64 {
		bins := make([]float64, n)
		at := rng.IntN(len(r.bins))
		for i := range bins {
			if i > 0 {
				at = (at + 1) % len(r.bins)
			}
			if rng.Float64() < 1/block {
				at = rng.IntN(len(r.bins))
			}
			bins[i] = r.bins[at] / mean
		}
		return bins
	}
}

// autoregressive has the spread and the correlation of neighbouring bins that the recording
// has.
func autoregressive(r recordedGoodput) source {
	mean, sd := stat.MeanStdDev(r.bins, nil)
	phi := stat.Correlation(r.bins[1:], r.bins[:len(r.bins)-1], nil)
	if math.IsNaN(phi) {
		phi = 0
	}
	phi = math.Max(math.Min(phi, 0.9), -0.9)
	sd /= mean
	return func(rng *rand.Rand, n int) []float64 {
		bins := make([]float64, n)
		x := rng.NormFloat64() * sd
		for i := range bins {
			bins[i] = math.Max(1+x, 0)
			x = phi*x + math.Sqrt(1-phi*phi)*sd*rng.NormFloat64()
		}
		return bins
	}
}

// An arm of the runbook suite: its baseline, its recovery, and the looks by which a cure can
// be decided, in bins.
const (
	beforeBins = 15
	afterBins  = 25
	threshold  = 0.9
)

var lookBins = []int{17, 21, 25}

// tally counts simulated arms.
type tally struct{ arms, covered, cured int }

func (c *tally) add(i stats.Interval, truth float64) (cured bool) {
	c.arms++
	if i.Low <= truth && truth <= i.High {
		c.covered++
	}
	if i.Low >= threshold {
		c.cured++
	}
	return i.Low >= threshold
}

func (c tally) coverage() float64 { return float64(c.covered) / float64(c.arms) }

func (c tally) String() string {
	return fmt.Sprintf("covers %.1f%%, cured %.1f%%", 100*c.coverage(), 100*float64(c.cured)/float64(c.arms))
}

// simulate judges an arm with this true ratio at the end, and by looks.
func simulate(draw source, rng *rand.Rand, work time.Duration, truth float64, levels []float64, fixed, looked *tally) {
	before, after := draw(rng, beforeBins), draw(rng, afterBins)
	for i := range after {
		after[i] *= truth
	}
	fixed.add(stats.Ratio(after, before, work, stats.Level), truth)
	for k, n := range lookBins {
		i := stats.Ratio(after[:n], before, work, levels[k])
		if i.Low >= threshold || k == len(lookBins)-1 {
			looked.add(i, truth)
			return
		}
	}
}

// TestCoverage shows what deciding at looks costs: on block-resampled recorded baselines, and
// in simulation with the correlation that they have. The interval at the look that decides
// must cover the truth about as often as that at the end does, and a remedy at the threshold
// must not be called cured more often than half of Level.
func TestCoverage(t *testing.T) {
	var shares []float64
	for _, n := range lookBins {
		shares = append(shares, float64(n)/afterBins)
	}
	levels := stats.Levels(shares)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []struct {
		name string
		of   func(recordedGoodput) source
	}{{"block-resampled", resampled}, {"autoregressive", autoregressive}} {
		baselines := recordedBaselines(t)
		for _, truth := range []float64{1.05, 1, 0.95, threshold, 0.85} {
			var fixed, looked tally
			for _, r := range baselines {
				draw := kind.of(r)
				for range *coverageRounds {
					simulate(draw, rng, r.work, truth, levels, &fixed, &looked)
				}
			}
			t.Logf("%s, true ratio %.2f, %d arms: at the end %v; at looks %v", kind.name, truth, fixed.arms, fixed, looked)
			if looked.coverage() < 1-stats.Level || looked.coverage() < fixed.coverage()-0.01 {
				t.Errorf("%s, true ratio %.2f: intervals at looks cover the truth less often than they say, or than "+
					"those at the end", kind.name, truth)
			}
			if share := float64(looked.cured) / float64(looked.arms); truth <= threshold && share > stats.Level/2 {
				t.Errorf("%s, true ratio %.2f: %.1f%% are called cured", kind.name, truth, 100*share)
			}
		}
	}
}
