package triggers

import (
	"testing"

	"github.com/lockjam/lockjam/harness/swarm"
)

// Only a connection that a holder has, and has to itself, can be cut.
func TestSeverHoldersChecks(t *testing.T) {
	sound := swarm.Defaults()
	sound.Instances = 4
	for name, c := range map[string]struct {
		instances int
		change    func(*swarm.Settings)
		keys      []string // the first key of each problem
	}{
		"sound": {9, func(*swarm.Settings) {}, nil},
		"a client for each": {9, func(s *swarm.Settings) { s.WorkersPerInstance, s.ClientsPerInstance = 3, 3 },
			nil},
		"no surge": {4, func(*swarm.Settings) {}, []string{"trigger.instances"}},
		"no connection to cut": {9, func(s *swarm.Settings) { s.Holder = swarm.HolderRedials },
			[]string{"trigger.kind"}},
		"somebody else's as well": {9, func(s *swarm.Settings) { s.WorkersPerInstance = 3 }, []string{"trigger.kind"}},
	} {
		of := sound
		c.change(&of)
		found := severHolders.Check(Settings{Kind: "sever-holders", Instances: c.instances}, of)
		if len(found) != len(c.keys) {
			t.Errorf("%s: %+v", name, found)
			continue
		}
		for i, p := range found {
			if p.Keys[0] != c.keys[i] || p.Message == "" {
				t.Errorf("%s: %+v, want one with %s", name, p, c.keys[i])
			}
		}
	}
}
