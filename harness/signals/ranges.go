package signals

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Range is the values of a parameter with which its signal can fire and can stay
// silent, and the reason for each end. Scenario files, their JSON Schema and the flags
// of `lockjam watch` all go by it.
type Range struct {
	Low, High          float64 // in the unit that the parameter's name has
	OverLow, UnderHigh bool    // that end itself is not in the range
	TooLow, TooHigh    string  // what a value outside of that end does
}

// Ranges are those of a signal's parameters, by name.
type Ranges map[string]Range

// The limits that several signals share.
const (
	sampledEveryMS = 100            // as often as the server is read
	longestMS      = 10 * 60 * 1000 // the longest phase of a scenario
	millions       = 1e6
	neverCounted   = "no server comes to so many: it never fires"
)

// window is the range of the time over which a signal counts.
func window(least float64) Range {
	return Range{Low: least, High: longestMS, TooLow: fmt.Sprintf("the server is read every %d ms", sampledEveryMS),
		TooHigh: "no phase lasts longer: it never fires"}
}

// duration is the range of a time for which something lasts.
func duration(least float64, tooLow string) Range {
	return Range{Low: least, High: longestMS, TooLow: tooLow, TooHigh: "no phase lasts longer: it never fires"}
}

// number is the range of a count or a rate that is to be exceeded.
func number(most float64) Range {
	return Range{High: most, TooLow: "it always fires", TooHigh: neverCounted}
}

// belowUsual is the range of a part of the baseline's rate that is to be fallen short of.
func belowUsual() Range {
	return Range{High: 1, OverLow: true, UnderHigh: true, TooLow: "no rate is lower: it never fires",
		TooHigh: "the usual rate itself is lower: it always fires"}
}

// aboveUsual is the range of a multiple of the baseline's level that is to be exceeded.
func aboveUsual() Range {
	return Range{Low: 1, High: millions, TooLow: "the usual level itself is higher: it always fires",
		TooHigh: neverCounted}
}

// holds excludes what is no number: that compares with nothing.
func (r Range) holds(v float64) bool {
	return (v > r.Low || v == r.Low && !r.OverLow) && (v < r.High || v == r.High && !r.UnderHigh)
}

// String says in words which values are in the range.
func (r Range) String() string {
	switch {
	case r.OverLow && r.UnderHigh:
		return "more than " + plain(r.Low) + " and less than " + plain(r.High)
	case r.OverLow:
		return "more than " + plain(r.Low) + ", at most " + plain(r.High)
	case r.UnderHigh:
		return plain(r.Low) + " or more, and less than " + plain(r.High)
	}
	return plain(r.Low) + " to " + plain(r.High)
}

// check returns an error that says which values make sense, and why.
func (r Range) check(v float64) error {
	if r.holds(v) {
		return nil
	}
	why := r.TooHigh
	if v <= r.Low {
		why = r.TooLow
	}
	if math.IsNaN(v) || why == "" {
		return fmt.Errorf("%s: want %s", plain(v), r)
	}
	return fmt.Errorf("%s: want %s (%s)", plain(v), r, why)
}

// plain is a number without an exponent, as far as that can be read.
func plain(v float64) string {
	if math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// Setting is where a signal is going to be run, as far as that is known beforehand: 0
// where it is not.
type Setting struct {
	Lasts       time.Duration // how long everything takes, at most
	Burst       time.Duration // for how long MONITOR is listened to at a time
	CanaryEvery time.Duration // from one dial of the canary's to the next
	MaxClients  int64
	Own         int64 // connections of lockjam's that are always there
	Locks       int64 // keys of locks that there can be
}

// CheckParams returns what is wrong with parameters that were given, by name: values
// with which the signal could never fire, or would always, in any setting or in this
// one. Parameters that the signal does not have are left to the caller.
func CheckParams(name string, given map[string]float64, in Setting) map[string]error {
	s, ok := Find(name)
	if !ok {
		return nil
	}
	wrong := map[string]error{}
	params := s.Params.With(given)
	for _, param := range slices.Sorted(maps.Keys(given)) {
		r, known := s.Ranges[param]
		if !known {
			continue
		}
		err := r.check(params[param])
		if err == nil && strings.HasSuffix(param, "_ms") && in.Lasts > 0 && params.millis(param) > in.Lasts {
			err = fmt.Errorf("%s: want at most %s: all is over by then, and it never fires",
				plain(params[param]), plain(millis(in.Lasts)))
		}
		if err == nil && s.Fits != nil {
			err = s.Fits(param, params, in)
		}
		if err != nil {
			wrong[param] = err
		}
	}
	return wrong
}
