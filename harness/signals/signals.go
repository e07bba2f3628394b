// Package signals is the catalogue of detection signals, one file each. A
// signal is a pure function of the recorded history: it cannot touch Redis, so
// what it said in a run it says again when the run is judged years later.
package signals

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/lockjam/lockjam/harness/history"
)

// Signal is one promise of the runbook's detection half.
type Signal struct {
	Name    string
	Claim   string // the claim of the runbook that it stands for, "" if it is ours
	Summary string // one line: what it reads and when it fires
	Params  Params // every parameter with its default
	Ranges  Ranges // the values that each parameter may have
	// Fits says what is wrong with a parameter that is in its range, given the others
	// and where the signal is run: nil where it can fire and can stay silent there. The
	// field may be nil.
	Fits func(param string, p Params, in Setting) error
	// Reads is the part of a sample that the signal reads; nil where it reads none. Of the
	// canary's counts the sample is to have what is new.
	Reads part
	// Unsteady says why a stretch of time is no baseline to compare with, "" where it is
	// one. nil for a signal that compares nothing, or in runs alone, where goodput says
	// which stretch is steady.
	Unsteady func(h View, in Span) string
	// Undecided reports whether what was read last means something only when it is compared
	// with a baseline. nil: it always does.
	Undecided func(h View, p Params) bool
	// Unavailable says why nothing can be said of this history: what the signal
	// reads is not in it. "" where something can. It asks the whole history, so a
	// server that was away for a while does not make a signal unavailable.
	Unavailable func(h View) string
	// Firings returns when it fired, in order of time. It must only look back:
	// what it says of a moment may not depend on what came after.
	Firings func(h View, p Params) []Firing
	// Figures are what it read in a stretch of time, by names that carry the
	// unit: what a person would look at to believe a firing or a silence. Empty
	// where nothing was read.
	Figures func(h View, p Params, in Span) map[string]float64
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

// View is the part of a history that signals read. Outside of the harness, where
// a server is watched whose clients are others', there are samples of the server
// and nothing else.
type View struct {
	Samples  []history.Sample
	Ops      []history.Op // in the order of Ended
	Census   []history.Census
	Findings []Proof // what the wait-for graph says of the censuses, in order of time
	Baseline Span    // the steady stretch before the trigger; empty if there was none
}

// Proof is what the wait-for graph of one census, compared with an earlier one,
// shows.
type Proof struct {
	// Unknown names the foreign clients that could end a standstill that is one but for
	// them: there may be a deadlock, and there may be none. "" where there are none.
	Unknown string

	At       time.Duration
	Deadlock bool          // proved
	Still    time.Duration // for how long nothing was granted or released at least; 0 if something was
	Waiting  int           // workers
}

// Span is a stretch of time.
type Span struct{ From, To time.Duration }

// holds counts both ends in: samples are taken at the ends of a phase.
func (s Span) holds(at time.Duration) bool { return s.From < s.To && at >= s.From && at <= s.To }

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
		errorReplies,
		goodputCollapse,
		lockKeyCount,
		lockSetRetries,
		orphanedLocks,
		refusedClients,
		rejectedConnections,
		requestLatency,
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
	return sort.Search(i, func(j int) bool { return samples[i].At-samples[j].At < d }) - 1
}

// part is something that a sample may have. Where it is not there, why says the
// reason, as far as the sample knows one.
type part func(s *history.Sample) (there bool, why string)

// only returns the samples that have a part. Nothing can be said of the others,
// and what is left out neither raises nor ends a firing.
func only(samples []history.Sample, has part) []history.Sample {
	var which []int
	for i := range samples {
		if there, _ := has(&samples[i]); there {
			which = append(which, i)
		}
	}
	if len(which) == len(samples) {
		return samples
	}
	some := make([]history.Sample, len(which))
	for i, j := range which {
		some[i] = samples[j]
	}
	return some
}

// seek reports whether any sample has a part and, where none does, the first
// reason that one gives.
func seek(samples []history.Sample, has part) (found bool, why string) {
	for i := range samples {
		there, reason := has(&samples[i])
		if there {
			return true, ""
		}
		if why == "" {
			why = reason
		}
	}
	return false, why
}

// answered is a sample in which the server gave these fields of INFO.
func answered(fields ...string) part {
	return func(s *history.Sample) (bool, string) {
		if s.Server == nil {
			return false, ""
		}
		for _, field := range fields {
			why, missing := s.Server.Missing[field]
			// Redis takes no limit under 1: a 0 is what is left where it was not told.
			if missing || field == "maxclients" && s.Server.MaxClients == 0 {
				return false, because("INFO gave no "+field, why)
			}
		}
		return true, ""
	}
}

// noAnswer says why no sample has these fields of INFO, "" where one does.
func noAnswer(h View, fields ...string) string {
	found, why := seek(h.Samples, answered(fields...))
	switch {
	case found || why != "":
		return why
	case len(h.Samples) == 0:
		return "no sample was taken"
	}
	_, why = seek(h.Samples, func(s *history.Sample) (bool, string) { return false, s.Error })
	return because("the server never answered", why)
}

// noWorkers says why nothing is known of the workers, "" where something is. A
// server whose clients are not lockjam's is sampled without them.
func noWorkers(h View) string {
	if slices.ContainsFunc(h.Samples, func(s history.Sample) bool { return s.Swarm.Workers > 0 }) {
		return ""
	}
	return "the workers' own view is not recorded here"
}

const NoBaseline = "there is no baseline to compare with"

// because adds a cause to a clause, where there is one.
func because(clause, cause string) string {
	if cause == "" {
		return clause
	}
	return clause + ": " + cause
}

// within returns the part of items that is in a span; at says of when an item
// is, and they are sorted by it.
func within[T any](items []T, at func(*T) time.Duration, in Span) []T {
	if in.To <= in.From {
		return nil
	}
	from := sort.Search(len(items), func(i int) bool { return at(&items[i]) >= in.From })
	to := sort.Search(len(items), func(i int) bool { return at(&items[i]) > in.To })
	return items[from:to]
}

func sampled(s *history.Sample) time.Duration { return s.At }

// millis is a duration as files have it.
func millis(d time.Duration) float64 { return round(float64(d)/float64(time.Millisecond), 3) }

func round(v float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(v*unit) / unit
}
