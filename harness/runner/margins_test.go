package runner

import (
	"testing"

	"github.com/lockjam/lockjam/harness/result"
)

func TestMarginsOfRepeatsAreOne(t *testing.T) {
	narrowly := []result.Margin{{Key: "cure.ratio", From: 0.9, To: 0.99, Reason: "one"}}
	var all marginTally
	for i, found := range [][]result.Margin{narrowly, nil, narrowly, nil} {
		m := all.arm("s", result.Arm{Name: "a", Repeat: i + 1})
		m.found, m.passed = found, i < 3
	}
	other := all.arm("s", result.Arm{Name: "b"})
	other.found, other.passed = narrowly, true
	got := all.merged()
	if len(got) != 2 || got[0].Turned != 2 || got[0].Of != 3 || got[1].Arm != "b" || got[1].Of != 1 {
		t.Errorf("merged: %+v", got)
	}
}
