package report

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
)

func TestMargins(t *testing.T) {
	for _, c := range []struct {
		name    string
		margins []result.Margin
		want    string
	}{
		{"none", nil, "margins: no arm that passed turns where a number is 10% off\n"},
		{"one", []result.Margin{{
			Scenario: "near-limit", Arm: "control", Key: "signals.client-saturation.params.ratio", From: 0.8, To: 0.72,
			Outcome: result.Fail, Reason: "it \x1b[31mfired", Turned: 2, Of: 3,
		}}, "margins: what turns where a number is 10% off\n" +
			"ARM                 NUMBER                                  IS   WOULD BE  TURNS   TO\n" +
			"near-limit/control  signals.client-saturation.params.ratio  0.8  0.72      2 of 3  fail: it  [31mfired\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			if err := Margins(&b, c.margins, 0.1); err != nil || b.String() != c.want {
				t.Errorf("%v\n%s\nwant\n%s", err, b.String(), c.want)
			}
		})
	}
}
