package waitgraph

import "testing"

// A share is never described as more than the whole.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		units, total int
		want         string
	}{
		{1, 1, "the only client slot"}, {2, 2, "both client slots"}, {30, 30, "all 30 client slots"},
		{7, 30, "7 of 30 client slots"},
		{33, 32, "all 32 client slots and 1 above the limit"},
	} {
		if got := (Tally{Units: c.units, Total: c.total}).share("client slot"); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.units, c.total, got, c.want)
		}
	}
}
