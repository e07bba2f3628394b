package stats

import (
	"fmt"

	"github.com/lockjam/lockjam/harness/text"
)

// Words are an estimate and its interval: "98% of the baseline (95% interval 96 to 101%)".
func (i Interval) Words(of string) string {
	return fmt.Sprintf("%s%% of %s (95%% interval %s)", text.Percent(i.Mid), of, i.Span())
}

// Span is the 95% interval in words: "96 to 101%".
func (i Interval) Span() string { return text.Percent(i.Low) + " to " + text.Percent(i.High) + "%" }

// Interval is an estimate with its 95% interval.
type Interval struct{ Mid, Low, High float64 }
