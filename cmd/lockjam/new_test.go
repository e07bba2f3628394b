package main

import "testing"

// The scenario that everybody begins with does what its file says of it.
func TestNewScenarioRunsAsItIs(t *testing.T) {
	h := newHouse(t)
	h.lockjam(0, "new", "mine")
	h.lockjam(0, "run", "mine.yaml", "--server", "process", "--arm", "control", "--quiet")
	r := h.run()
	if len(r.Scenarios) != 1 || r.Scenarios[0].Name != "mine" || len(r.Scenarios[0].Arms) != 1 {
		t.Fatalf("%+v", r.Scenarios)
	}
	if arm := r.Scenarios[0].Arms[0]; arm.Reproduced == nil || !*arm.Reproduced || arm.Deadlock == nil ||
		!arm.Deadlock.Proved {
		t.Errorf("reproduced %v, deadlock %+v", arm.Reproduced, arm.Deadlock)
	}
}
