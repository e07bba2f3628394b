package result

import "testing"

// An arm without a verdict says what was found in it.
func TestFinding(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		arm  Arm
		want string
	}{
		{Arm{Outcome: Pass, Verdict: Cured, Reproduced: &yes}, "cured"},
		{Arm{Outcome: Pass, Reproduced: &yes}, "reproduced"},
		{Arm{Outcome: Fail, Reproduced: &yes}, "reproduced"},
		{Arm{Outcome: Inconclusive, Reproduced: &no}, "not reproduced"},
		{Arm{Outcome: Inconclusive, Reproduced: &yes}, "inconclusive"},
		{Arm{Outcome: Inconclusive}, "inconclusive"},
		{Arm{Outcome: Pass}, "no incident"},
	} {
		if got := c.arm.Finding(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.arm, got, c.want)
		}
	}
}

func TestSlotsTaken(t *testing.T) {
	for _, c := range []struct {
		connected, limit, taken int64
		beyond                  string
	}{
		{30, 32, 30, ""}, {32, 32, 32, ""}, {33, 32, 32, " + 1 from before maxclients was lowered"},
	} {
		if taken, beyond := SlotsTaken(c.connected, c.limit); taken != c.taken || beyond != c.beyond {
			t.Errorf("%d of %d: %d, %q", c.connected, c.limit, taken, beyond)
		}
	}
}
