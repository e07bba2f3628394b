package harness

import (
	"fmt"
	"math"
	"strconv"
)

// Percent is a share of the baseline in whole percent, without the sign, as every
// sentence, table and page prints it; halves go up. It rounds to the thousandths
// that run.json keeps first: a sentence that is made of the measured value, and a table
// that is made of the recorded one, agree.
func Percent(share float64) string {
	thousandths := 1000 * round(share, 3)
	return strconv.FormatFloat(math.Floor((math.Round(thousandths)+5)/10), 'f', 0, 64)
}

// threshold is a share that a scenario names, in percent: as exact as it was given.
func threshold(share float64) string {
	return strconv.FormatFloat(round(100*share, 6), 'f', -1, 64)
}

// recoveryOf is an estimate as run.json keeps it, to the thousandth. It decides nothing:
// verdicts come from the estimate itself.
func recoveryOf(i interval) *Recovery {
	return &Recovery{Ratio: round(i.mid, 3), Low: round(i.low, 3), High: round(i.high, 3)}
}

// intervalOf is a recorded estimate.
func intervalOf(r Recovery) interval { return interval{r.Ratio, r.Low, r.High} }

// words are an estimate and its interval: "98% of the baseline (95% interval 96 to 101%)".
func (i interval) words(of string) string {
	return fmt.Sprintf("%s%% of %s (95%% interval %s)", Percent(i.mid), of, i.span())
}

// span is the 95% interval in words: "96 to 101%".
func (i interval) span() string { return Percent(i.low) + " to " + Percent(i.high) + "%" }
