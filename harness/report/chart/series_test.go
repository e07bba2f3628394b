package chart

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

const ms = time.Millisecond

// recorded writes a history into the folder of an arm of a new run.
func recorded(t testing.TB, h history.History) (folder string, a result.Arm) {
	t.Helper()
	folder = t.TempDir()
	a = result.Arm{Name: "control", Folder: "scenario/control"}
	dir := filepath.Join(folder, a.Folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := history.Create(filepath.Join(dir, rundir.HistoryFile), h.Header)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range h.Ops {
		r.Op(op)
	}
	for _, s := range h.Samples {
		r.Sample(s)
	}
	for _, m := range h.Marks {
		r.Mark(m)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return folder, a
}

// ended is an operation that took 5 ms.
func ended(at time.Duration, o history.Outcome) history.Op {
	return history.Op{Outcome: o, Intended: max(at-5*ms, 0), Begun: max(at-5*ms, 0), Granted: history.Never,
		Worked: history.Never, Released: history.Never, Ended: at}
}

// answered is a sample that the server answered.
func answered(at time.Duration, runID string, clients, limit, rejected int64) history.Sample {
	return history.Sample{At: at, Server: &history.Server{RunID: runID, Connected: clients, MaxClients: limit,
		Rejected: rejected}}
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

func mustRead(t *testing.T, h history.History, phases []result.Phase) *series {
	t.Helper()
	folder, a := recorded(t, h)
	a.Phases = phases
	s, err := readSeries(folder, a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// same compares lines with holes.
func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool {
		return x == y || math.IsNaN(x) && math.IsNaN(y) ||
			math.Abs(x-y) < 1e-6
	})
}

func TestBinsBeginWhereTheyBegin(t *testing.T) {
	s := mustRead(t, history.History{Ops: []history.Op{
		ended(0, history.OK), ended(100*ms-time.Microsecond, history.OK), // the first bin
		ended(100*ms, history.OK), ended(150*ms, history.Fail), ended(150*ms, history.Unknown), // the second
		ended(250*ms, history.OK), // the third, half of which is there
		ended(260*ms, history.OK), // the end is not in it
	}}, phasesOf(260))
	got := s.goodput()
	if want := []float64{20, 10, 1 / 0.06}; !same(got.y, want) || got.at[2] != 230*ms {
		t.Errorf("%v at %v, want %v", got.y, got.at, want)
	}
	if s = mustRead(t, history.History{Ops: []history.Op{ended(240*ms, history.OK)}},
		phasesOf(249)); len(s.goodput().y) != 2 {
		t.Errorf("less than half a bin says nothing: %v", s.goodput().y)
	}
}

func TestRejectionsAddUpOverRestarts(t *testing.T) {
	silent := history.Sample{At: 300 * ms}
	lacks := answered(300*ms, "a", 1, 32, 0)
	lacks.Server.Missing = map[string]string{"rejected_connections": "INFO does not say it"}
	hole := math.NaN()
	for _, c := range []struct {
		why     string
		samples []history.Sample
		want    []float64
	}{
		{"what was there before the first sample is nobody's",
			[]history.Sample{answered(100*ms, "a", 1, 32, 500), answered(200*ms, "a", 1, 32, 507)},
			[]float64{hole, 70, hole, hole, hole}},
		{"growth is spread over the time in which it came about",
			[]history.Sample{answered(0, "a", 1, 32, 0), answered(250*ms, "a", 1, 32, 25)},
			[]float64{100, 100, 100, hole, hole}},
		{"the same server was silent and went on counting",
			[]history.Sample{answered(200*ms, "a", 1, 32, 10), silent, answered(400*ms, "a", 1, 32, 30)},
			[]float64{hole, hole, 100, 100, hole}},
		{"a server that does not say it is silent",
			[]history.Sample{answered(200*ms, "a", 1, 32, 10), lacks, answered(400*ms, "a", 1, 32, 30)},
			[]float64{hole, hole, 100, 100, hole}},
		{"after a restart it counts from 0, and not before the server was seen down",
			[]history.Sample{answered(200*ms, "a", 1, 32, 1000), silent, answered(400*ms, "b", 1, 32, 7)},
			[]float64{hole, hole, hole, 70, hole}},
		{"a restart that nobody saw, with more than before",
			[]history.Sample{answered(200*ms, "a", 1, 32, 10), answered(400*ms, "b", 1, 32, 30)},
			[]float64{hole, hole, 150, 150, hole}},
		{"CONFIG RESETSTAT",
			[]history.Sample{answered(200*ms, "a", 1, 32, 10), answered(300*ms, "a", 1, 32, 4)},
			[]float64{hole, hole, 40, hole, hole}},
		{"two samples of the same moment",
			[]history.Sample{answered(200*ms, "a", 1, 32, 10), answered(200*ms, "a", 1, 32, 12),
				answered(300*ms, "a", 1, 32, 14)}, []float64{hole, hole, 40, hole, hole}},
	} {
		s := mustRead(t, history.History{Samples: c.samples}, phasesOf(500))
		if got := s.rejected.perSecond(); !same(got.y, c.want) {
			t.Errorf("%s: %v, want %v", c.why, got.y, c.want)
		}
	}
}

func TestNoAnswerIsAHole(t *testing.T) {
	lacks := answered(300*ms, "a", 9, 0, 0)
	lacks.Server.Missing = map[string]string{"maxclients": "CONFIG GET: NOPERM"}
	s := mustRead(t, history.History{Samples: []history.Sample{
		answered(100*ms, "a", 5, 32, 0), {At: 200 * ms, Error: "i/o timeout"}, lacks,
	}}, phasesOf(500))
	clients, limit := s.clients()
	if hole := math.NaN(); !same(clients.y, []float64{5, hole, 9}) || !same(limit.y, []float64{32, hole, hole}) {
		t.Errorf("clients %v, limit %v", clients.y, limit.y)
	}
}

func TestOperationsCountInTheirPhase(t *testing.T) {
	s := mustRead(t, history.History{Ops: []history.Op{
		ended(99*ms, history.OK), ended(100*ms, history.OK), ended(150*ms, history.Fail), ended(300*ms, history.OK),
		// cut off at the end, and when the worker noticed
		ended(400*ms, history.Unknown), ended(401*ms, history.Unknown),
		ended(402*ms, history.OK), // in flight at the end
		ended(500*ms, history.OK), // begun after it: a probe's time counts for nothing
	}}, phasesOf(100, 200, 400))
	var got []int64
	for _, p := range s.phases {
		got = append(got, p.response.TotalCount(), p.failed, p.hung)
	}
	if want := []int64{1, 0, 0, 1, 1, 0, 1, 0, 3}; !slices.Equal(got, want) {
		t.Errorf("completed, failed and hung by phase: %v, want %v", got, want)
	}
	if p, _ := s.phase(history.Baseline); p.response.Max() < 5000 || p.response.Max() > 5010 {
		t.Errorf("%d µs, want 5000: from when it was meant to start", p.response.Max())
	}
}

func TestALongArmHasLongBins(t *testing.T) {
	const end = 1_000_000 * ms
	var h history.History
	for at := time.Duration(0); at < end; at += time.Second {
		h.Ops = append(h.Ops, ended(at, history.OK))
		h.Samples = append(h.Samples, answered(at, "a", int64(at/(10*time.Second)), 32, int64(at/time.Second)))
	}
	s := mustRead(t, h, phasesOf(1e5, 2e5, 1e6))
	clients, _ := s.clients()
	if n := len(s.decisions); n > maxBins || n <= maxBins/2 || len(clients.y) > 2*maxBins {
		t.Errorf("%d bins, %d readings", n, len(clients.y))
	}
	total := 0.0
	for _, n := range s.decisions {
		total += n
	}
	if total != 1000 || clients.highest() != 99 {
		t.Errorf("%.0f decisions of 1000, %.0f clients of 99", total, clients.highest())
	}
	if rate := s.rejected.perSecond(); math.Abs(rate.y[10]-1) > 1e-6 {
		t.Errorf("%v rejections per second, want 1", rate.y[10])
	}
}

// Without phases the arm ends with what was recorded last.
func TestAnArmThatNobodyJudged(t *testing.T) {
	s := mustRead(t, history.History{Ops: []history.Op{ended(50*ms, history.OK)},
		Samples: []history.Sample{answered(300*ms, "a", 1, 2, 3)}}, nil)
	if s.end != 300*ms || s.decisions[0] != 1 {
		t.Errorf("ends at %v with %v", s.end, s.decisions)
	}
}

func TestPhasesMaySayAnything(t *testing.T) {
	phases := phasesOf(1e300)
	phases = append(phases, phases[0], result.Phase{Name: "<b>", EndMS: 5},
		result.Phase{Name: history.Recovery, StartMS: 7, EndMS: -7})
	s := mustRead(t, history.History{Ops: []history.Op{ended(50*ms, history.OK)}}, phases)
	if len(s.phases) != 1 || len(s.decisions) > maxBins || len(s.figures(result.Arm{})) == 0 {
		t.Errorf("%d phases, %d bins", len(s.phases), len(s.decisions))
	}
}

func TestHistoriesThatAreNotWhole(t *testing.T) {
	var h history.History
	for i := range 20_000 {
		h.Ops = append(h.Ops, ended(time.Duration(i)*ms/10, history.OK))
	}
	folder, a := recorded(t, h)
	a.Phases = phasesOf(1000, 2000)
	path := filepath.Join(folder, a.Folder, rundir.HistoryFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why    string
		damage func() error
		says   string
		charts bool
	}{
		{"cut off", func() error { return os.WriteFile(path, whole[:len(whole)*2/3], 0o644) }, "ends in the middle",
			true},
		{"rotten from the middle", func() error {
			return os.WriteFile(path, append(slices.Clone(whole[:len(whole)/2]), make([]byte, len(whole)/2)...), 0o644)
		}, "ends in the middle", true},
		{"something else", func() error { return os.WriteFile(path, []byte("<html>"), 0o644) }, "not a lockjam journal",
			false},
		{"empty", func() error { return os.WriteFile(path, nil, 0o644) }, "truncated before the end of its header",
			false},
		{"missing", func() error { return os.Remove(path) }, "is missing", false},
		{"a folder", func() error { return os.Mkdir(path, 0o755) }, "it is no plain file", false},
	} {
		if err := c.damage(); err != nil {
			t.Fatal(err)
		}
		figures, err := FiguresOf(folder, a)
		if err == nil || !strings.Contains(err.Error(), c.says) || (len(figures) > 0) != c.charts {
			t.Errorf("%s: %d figures and %v, want %q", c.why, len(figures), err, c.says)
		}
	}
	a.Folder = "../elsewhere"
	if _, err := FiguresOf(folder, a); err == nil || !strings.Contains(err.Error(), "path escapes from parent") {
		t.Errorf("outside of the run folder: %v", err)
	}
}
