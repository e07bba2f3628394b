package signals

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
)

// manyKeys is how many lock keys are many, unless a scenario says otherwise.
const manyKeys = 100

// The runbook calls for "a high number of lock keys" and gives no number, so it
// is read in both ways that make sense, and either will do: many as such, or
// many more than usual, as long as they are more than a handful: how many of a few
// locks are held at a moment is a matter of chance. That it can stay silent while nothing moves is in the
// nature of the thing: there are as many keys as there are things that are
// locked, however many wait for each of them.
//
// A keyspace may be too large for SCAN to come through it in one look. Of a part of
// it is known that there are at least so many locks: that can raise, and neither
// clears nor counts as silence.
var lockKeyCount = Signal{
	Name:    "lock-key-count",
	Claim:   "D1",
	Summary: "there are more than keys lock keys, or more than ratio times the most that the baseline had and more than few",
	Params:  Params{"keys": manyKeys, "ratio": 2, "few": 10},
	Ranges:  Ranges{"keys": number(1000 * millions), "ratio": aboveUsual(), "few": number(1000 * millions)},
	Reads:   lockKeys,
	Unsteady: func(h View, in Span) string {
		whole := only(h.Samples, func(s *history.Sample) (bool, string) {
			there, _ := lockKeys(s)
			return there && !s.Locks.Partial, ""
		})
		read := within(whole, sampled, in)
		switch {
		case len(read) == 0:
			return NoBaseline
		case mostKeys(read) == 0:
			return "there were no lock keys in the baseline"
		}
		// The keys are looked at once a second: where a ramp comes from shows the look before.
		before := sort.Search(len(whole), func(i int) bool { return whole[i].At >= in.From }) - 1
		looks := whole[max(before, 0):][:len(read)+1+min(before, 0)]
		if len(looks) < fewLooks { // which say too little of what comes between them
			return processed(h).unsteady("commands/s", in)
		}
		return unsteadyKeys(looks)
	},
	Undecided: func(h View, p Params) bool {
		for _, s := range slices.Backward(only(h.Samples, lockKeys)) {
			return float64(s.Locks.Keys) > p["few"]
		}
		return false
	},
	Unavailable: func(h View) string {
		found, why := seek(h.Samples, lockKeys)
		switch {
		case found:
			return unfinished(h)
		case why == "":
			return "the lock keys were not scanned"
		case strings.Contains(why, "NOPERM"):
			return "the user may not run SCAN: " + why
		}
		return "the lock keys could not be listed: " + why
	},
	Firings: func(h View, p Params) []Firing {
		samples := only(h.Samples, lockKeys)
		usual, known := usualKeys(samples, h.Baseline)
		return firings(samples, 0, func(i int) reading {
			keys := float64(samples[i].Locks.Keys)
			// What came before the baseline cannot be compared with it.
			comparable := known && usual > 0 && samples[i].At >= h.Baseline.From
			switch {
			case keys > p["keys"], comparable && keys > max(p["ratio"]*usual, p["few"]):
				return yes
			case samples[i].Locks.Partial:
				return unknown // there are at least so many
			}
			return no
		})
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		samples := only(h.Samples, lockKeys)
		read := within(samples, sampled, in)
		figures := map[string]float64{}
		if len(read) == 0 {
			return figures
		}
		figures["keys_max"] = mostKeys(read)
		if usual, known := usualKeys(samples, h.Baseline); known {
			figures["baseline_keys_max"] = usual
		}
		for _, s := range read {
			k := s.Locks
			if k.Asked > 0 || k.Keys == 0 {
				figures["no_ttl_max"] = max(figures["no_ttl_max"], float64(k.NoTTL))
			}
			if k.Asked > 0 && k.IdleError == "" {
				figures["oldest_idle_s"] = max(figures["oldest_idle_s"], round(k.OldestIdle.Seconds(), 1))
			}
			if k.Partial {
				figures["partial"] = 1
			}
		}
		return figures
	},
}

func lockKeys(s *history.Sample) (there bool, why string) {
	if s.Locks == nil {
		return false, ""
	}
	return s.Locks.Error == "", s.Locks.Error
}

// unfinished says that SCAN has not come through the whole keyspace so far, ""
// where it has, or where as much as it has seen is more than the usual limit.
func unfinished(h View) string {
	looked := int64(0)
	for _, s := range only(h.Samples, lockKeys) {
		if !s.Locks.Partial || float64(s.Locks.Keys) > manyKeys {
			return ""
		}
		looked = max(looked, s.Locks.Scanned)
	}
	return fmt.Sprintf("SCAN has not come through the whole keyspace yet: %d keys looked at", looked)
}

// usualKeys is the most that the baseline had, known if all of them were seen
// at least once.
func usualKeys(samples []history.Sample, baseline Span) (most float64, known bool) {
	read := within(samples, sampled, baseline)
	known = slices.ContainsFunc(read, func(s history.Sample) bool { return !s.Locks.Partial })
	return mostKeys(read), known
}

func mostKeys(samples []history.Sample) (most float64) {
	for _, s := range samples {
		most = max(most, float64(s.Locks.Keys))
	}
	return most
}
