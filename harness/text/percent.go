package text

import (
	"math"
	"strconv"
)

// Percent is a share of the baseline in whole percent, without the sign, as every
// sentence, table and page prints it; halves go up. It rounds to the thousandths
// that run.json keeps first: a sentence that is made of the measured value, and a table
// that is made of the recorded one, agree.
func Percent(share float64) string {
	thousandths := 1000 * Round(share, 3)
	return strconv.FormatFloat(math.Floor((math.Round(thousandths)+5)/10), 'f', 0, 64)
}

// Threshold is a share that a scenario names, in percent: as exact as it was given.
func Threshold(share float64) string {
	return strconv.FormatFloat(Round(100*share, 6), 'f', -1, 64)
}
