// Package sample is a run made by hand, with one of everything that reports have to say. The tests
// of all formats use it.
package sample

import (
	"time"

	"github.com/lockjam/lockjam/harness/result"
)

// OnTwo is a run on two images: they agree on the control arm, and not on the remedy.
func OnTwo() *result.Run {
	r := Run()
	no := false
	has := func(name string, has *bool, value, unknown string) result.Feature {
		return result.Feature{Name: name, Has: has, Value: value, Unknown: unknown}
	}
	of := func(image, version string, features ...result.Feature) result.Server {
		return result.Server{ServerInfo: result.ServerInfo{Kind: "container", Image: image}, Version: version,
			Features: features}
	}
	r.Environment.Servers = []result.Server{
		of("redis:6", "redis 6.0.16", has("DELIFEQ", &no, "", ""), has("RESET", &no, "", "")),
		of("valkey:9", "valkey 9.1.2", has("DELIFEQ", Yes(), "", ""), has("maxclients-reserved", Yes(), "2", ""),
			has("RESET", nil, "", "NOPERM")),
	}
	r.Environment.Server = r.Environment.Servers[0]
	var arms []result.Arm
	for _, a := range r.Scenarios[0].Arms[:2] {
		for _, image := range []string{"redis:6", "valkey:9"} {
			one := a
			one.Image = image
			arms = append(arms, one)
		}
	}
	arms[3].Verdict, arms[3].Unsafe, arms[3].Outcome, arms[3].Reasons = result.NoEffect, false, result.Fail,
		[]string{"it was expected to be cured"}
	arms[3].Signals = []result.Signal{{Name: "client-saturation", Claim: "A1", Expected: "fire", BaselineFirings: 2},
		arms[3].Signals[1]}
	r.Scenarios[0].Arms = arms
	r.Claims[0].Evidence = nil
	r.Claims[0].Images = []result.ClaimOn{
		{Image: "redis:6", Verdict: result.Confirmed,
			Evidence: []result.Evidence{{Scenario: "slot-lock-deadlock", Arm: "control", Field: "verdict", Value: "x"},
				{Scenario: "slot-lock-deadlock", Arm: "control", Field: "a.detect_ms", Value: 1.0}}},
		{Image: "valkey:9", Verdict: result.Untested},
	}
	return r
}

// Num is a figure that may be missing.
func Num(v float64) *float64 { return &v }

// Yes is an answer that may be missing.
func Yes() *bool { b := true; return &b }

// Run is a run with one of everything that reports have to say.
func Run() *result.Run {
	finished := time.Date(2026, 5, 4, 3, 3, 1, 0, time.UTC)
	signal := func(fired bool, after float64) []result.Signal {
		s := result.Signal{Name: "client-saturation", Claim: "A1", Expected: "fire", Met: fired, Fired: fired,
			Cleared: true}
		if fired {
			s.DetectMS = Num(after)
			s.Figures = map[string]float64{"ratio_max": 0.97, "connected_max": 31, "monitored_ms": 200}
		}
		return []result.Signal{s, {Name: "lock-key-count", Claim: "D1", Expected: "any", Met: true,
			Unavailable: "the user may not run SCAN: NOPERM"}}
	}
	return &result.Run{
		Schema: result.RunSchema, ID: "20260504-030201-beef", Started: finished.Add(-time.Minute), Finished: &finished,
		Seed:   7,
		Repeat: 1, Status: result.Completed, Outcome: result.Fail,
		Scenarios: []result.Scenario{{Name: "slot-lock-deadlock", Title: "Slots and locks", Arms: []result.Arm{
			{Name: "control", Remedy: "none", Repeat: 1, Outcome: result.Pass, Reproduced: Yes(),
				Verdict: result.NoEffect, Expected: result.NoEffect,
				Because: "No lock was granted for 3.5 s afterwards.",
				Goodput: result.Goodput{Before: Num(200), During: Num(0), After: Num(0)}, Signals: signal(true, 120),
				Probes: []result.Probe{{Name: "runbook-monitor", Did: `redis-cli monitor | grep "SET lock:"`,
					Because: "It could not connect."}},
				Deadlock: &result.Deadlock{Proved: true, Checked: true, Kind: "deadlock", AfterMS: 1295, LateMS: 90,
					Sentence: "Deadlock: 4 workers wait.", Graph: "flowchart LR\n"}},
			{Name: "raise", Remedy: "raise-maxclients-restart", Repeat: 1, Outcome: result.Pass, Reproduced: Yes(),
				Verdict: result.Cured, Expected: result.Cured, Because: "Goodput was back.",
				Unsafe: true, Safety: result.Safety{Overlaps: 4, LostUpdates: 2},
				Recovery: &result.Recovery{Ratio: 1, RestoredAfterMS: Num(840)},
				Goodput:  result.Goodput{Before: Num(201.4), During: Num(0), After: Num(213)},
				Signals:  signal(true, 80),
				Steps:    []result.Step{{AtMS: 3100, Did: "CONFIG GET maxclients", Answer: "10000"}}},
			{Name: "restart", Remedy: "restart-server", Repeat: 1, Outcome: result.Fail, Reproduced: Yes(),
				Verdict: result.Relapsed, Expected: result.Cured,
				Reasons: []string{"remedy restart-server was expected to be cured and was relapsed"},
				Signals: signal(false, 0)},
		}}},
		Claims: []result.Claim{
			{ID: "A1", Words: "Connected clients > 80%", Verdict: result.Conditional, Because: "It fires here.",
				Instead: "Watch goodput.",
				Evidence: []result.Evidence{
					{Scenario: "slot-lock-deadlock", Arm: "control", Field: "signals.client-saturation.detect_ms",
						Value: 120.0},
					{Scenario: "healthy", Arm: "control", Field: "signals.client-saturation.figures",
						Value: map[string]any{"ratio_max": 0.5}},
				}},
			{ID: "P1", Words: "Back off", Verdict: result.Untested},
		},
	}
}
