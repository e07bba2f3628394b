// Package signals is the catalogue of detection signals, one file each. A
// signal is a pure function of the recorded history: it cannot touch Redis, so
// what it said in a run it says again when the run is judged years later.
package signals

import (
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// Signal is one promise of the runbook's detection half.
type Signal struct {
	Name    string
	Claim   string // the claim of the runbook that it stands for, "" if it is ours
	Summary string // one line: what it reads and when it fires
	Params  Params // every parameter with its default
	// Firings returns when it fired, in order of time. It must only look back:
	// what it says of a moment may not depend on what came after.
	Firings func(h View, p Params) []Firing
}

// Params are a signal's thresholds, by name, with the unit in the name.
type Params map[string]float64

// With returns a copy in which the entries of over replace those of the same name.
func (p Params) With(over map[string]float64) Params {
	merged := make(Params, len(p))
	for name, v := range p {
		merged[name] = v
	}
	for name, v := range over {
		merged[name] = v
	}
	return merged
}

func (p Params) millis(name string) time.Duration {
	return time.Duration(p[name] * float64(time.Millisecond))
}

// View is the part of a history that signals read.
type View struct {
	Samples  []history.Sample
	Baseline Span // the steady stretch before the trigger; empty if there was none
}

// Span is a stretch of time.
type Span struct{ From, To time.Duration }

// Firing is a stretch in which a signal was on. From is when it was raised,
// which is later than when its condition began if it asks for a while.
type Firing struct {
	From, To time.Duration
	Open     bool // it was still on at the last sample
}

// All lists the catalogue, sorted by name.
func All() []Signal {
	return []Signal{
		clientErrors,
		clientSaturation,
		commandLatencyClient,
		commandLatencyServer,
		commandThroughput,
		deadlock,
		goodputCollapse,
		rejectedConnections,
	}
}

// Find returns the signal with that name.
func Find(name string) (Signal, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return Signal{}, false
}

// firings turns a condition on single samples into firings: it has to hold
// from sample to sample for at least the given time. A reading of nothing
// (unknown) neither raises nor ends a firing.
func firings(samples []history.Sample, forAtLeast time.Duration, condition func(i int) reading) []Firing {
	var found []Firing
	since, on := history.Never, false
	for i, s := range samples {
		switch condition(i) {
		case unknown:
			continue
		case no:
			if on {
				found[len(found)-1].To, found[len(found)-1].Open = s.At, false
			}
			since, on = history.Never, false
		case yes:
			if since == history.Never {
				since = s.At
			}
			if !on && s.At-since >= forAtLeast {
				on = true
				found = append(found, Firing{From: s.At, To: s.At, Open: true})
			}
			if on {
				found[len(found)-1].To = s.At
			}
		}
	}
	return found
}

// reading is what a condition says of one sample.
type reading int

const (
	unknown reading = iota // the server did not answer, or there is nothing to compare with
	no
	yes
)

func when(b bool) reading {
	if b {
		return yes
	}
	return no
}

// back returns the index of the newest sample that is at least d older than
// samples[i], or -1: the far end of a sliding window.
func back(samples []history.Sample, i int, d time.Duration) int {
	for j := i - 1; j >= 0; j-- {
		if samples[i].At-samples[j].At >= d {
			return j
		}
	}
	return -1
}
