package sampler

import (
	"testing"
	"time"
)

// What takes long is looked at a twentieth of the time; what took long once, because the
// machine stalled, as often as ever.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		took []time.Duration
		next time.Duration // after the last look, which ends at 0
	}{
		{"quick", []time.Duration{ms, ms}, 20 * ms},
		{"a stall of the machine", []time.Duration{ms, 212 * ms}, 20 * ms},
		{"quick after a stall", []time.Duration{ms, 212 * ms, ms}, 20 * ms},
		{"long at first, when nobody knows", []time.Duration{212 * ms}, 0},
		{"long twice", []time.Duration{200 * ms, 212 * ms}, 4000 * ms},
	} {
		var p pace
		for _, took := range c.took {
			p.next = 0
			p.rest(0, took)
		}
		if p.next != c.next {
			t.Errorf("%s: next after %v, want %v", c.name, p.next, c.next)
		}
	}
	var p pace
	if p.due(0, 0) || !p.due(0, ms) || p.due(ms-1, ms) || !p.due(ms, ms) {
		t.Error("every millisecond is not every millisecond")
	}
}
