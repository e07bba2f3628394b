package scenario

import (
	"reflect"
	"testing"

	"github.com/lockjam/lockjam/harness/triggers"
)

func TestBounds(t *testing.T) {
	found := Bounds()
	for key, want := range map[string]Bound{
		"name":              {Name: true, Required: true},
		"title":             {Required: true},
		"arms":              {Required: true},
		"arms[].name":       {Name: true, Required: true},
		"arms[].prevention": {Name: true},
		"signals.*.expect":  {Words: []string{"fire", "silent", "any"}, Required: true},
		"server.maxclients": {Range: &Range{4, maxServerClients, nil}, Required: true},
		"swarm.holder":      {Words: []string{"keeps-connection", "returns-connection", "redials"}},
		// A kind of a catalogue, and not of Go.
		"trigger.kind": {Words: triggers.Names()},
		// Only asked of a surge, and of open arrivals.
		"trigger.instances":          {Range: &Range{1, maxWorkers, nil}},
		"swarm.arrivals.rate_per_s":  {Range: &Range{0.01, maxRate, nil}},
		"swarm.redial_ms":            {Range: &Range{minPauseMS, maxPauseMS, nil}},
		"swarm.lock.ttl_ms":          {Range: &Range{1, maxTTLMS, []float64{0}}},
		"swarm.client.max_retries":   {Range: &Range{1, maxAttempts, []float64{-1}}},
		"watch.monitor_ms":           {Range: &Range{200, maxPauseMS, []float64{0}}},
		"watch.monitor_for_ms":       {}, // where monitor_ms is 0 it may be anything
		"swarm.client.disable_ident": {}, // not asked of
	} {
		if got := found[key]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v %+v, want %+v %+v", key, got, got.Range, want, want.Range)
		}
	}
	for key, bound := range found {
		if bound.Required && key != "name" && key != "title" && key != "arms" && key != "arms[].name" && key != "signals.*.expect" && key != "server.maxclients" {
			t.Errorf("%s is required", key)
		}
	}
}
