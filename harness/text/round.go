package text

import (
	"math"
	"time"
)

func Round(v float64, digits int) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	p := math.Pow(10, float64(digits))
	return math.Round(v*p) / p
}

func Millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
