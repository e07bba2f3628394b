package signals

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
)

// A lock is orphaned when the worker that took it is dead. The proof takes two
// censuses in a row: each lists the live workers first and asks Redis for the
// tokens afterwards, so a worker that came up in between holds a lock and is not
// listed. In the next census it is.
var orphanedLocks = Signal{
	Name:    "orphaned-locks",
	Summary: "more than count locks belong to workers that are proved dead, by two censuses in a row",
	Params:  Params{"count": 0},
	Ranges:  Ranges{"count": number(millions)},
	Fits: func(param string, p Params, in Setting) error {
		if in.Locks > 0 && p[param] >= float64(in.Locks) {
			return fmt.Errorf("%s: want less than %d: there are no more locks, and it never fires", plain(p[param]),
				in.Locks)
		}
		return nil
	},
	Unavailable: censusLacks,
	Firings: func(h View, p Params) []Firing {
		all := taken(h)
		moments := make([]history.Sample, len(all))
		for i, c := range all {
			moments[i].At = c.At
		}
		return firings(moments, 0, func(i int) reading {
			if i == 0 {
				return unknown
			}
			return when(float64(len(Orphans(&all[i-1], &all[i]))) > p["count"])
		})
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		all := taken(h)
		for i, c := range all {
			if !in.holds(c.At) {
				continue
			}
			figures["locks_max"] = max(figures["locks_max"], float64(len(c.Locks)))
			if i > 0 {
				figures["orphaned_max"] = max(figures["orphaned_max"], float64(len(Orphans(&all[i-1], &c))))
			}
		}
		return figures
	},
}

// taken returns the censuses that Redis answered.
func taken(h View) []history.Census {
	var all []history.Census
	for _, c := range h.Census {
		if c.Error == "" {
			all = append(all, c)
		}
	}
	return all
}

// Orphans returns the locks that are held in both censuses with the same token, by
// a worker that neither lists: key to token. There are few locks and many workers:
// the suspects are found first and struck off one by one.
func Orphans(before, now *history.Census) map[string]string {
	suspects := map[int32][]string{}
	for key, token := range now.Locks {
		if owner, ok := ownerOf(token); ok && before.Locks[key] == token {
			suspects[owner] = append(suspects[owner], key)
		}
	}
	for _, census := range []*history.Census{before, now} {
		for i := range census.Workers {
			delete(suspects, census.Workers[i].Worker)
		}
	}
	orphaned := map[string]string{}
	for _, held := range suspects {
		for _, key := range held {
			orphaned[key] = now.Locks[key]
		}
	}
	return orphaned
}

// ownerOf reads the worker out of a token of the swarm's, "12:7:0badcafe". Of a
// token of another form it is not known whose it is, or that its owner is dead.
func ownerOf(token string) (worker int32, ok bool) {
	parts := strings.Split(token, ":")
	if len(parts) != 3 {
		return 0, false
	}
	id, idErr := strconv.ParseInt(parts[0], 10, 32)
	seq, seqErr := strconv.ParseInt(parts[1], 10, 64)
	nonce, nonceErr := strconv.ParseUint(parts[2], 16, 32)
	if idErr != nil || seqErr != nil || nonceErr != nil {
		return 0, false
	}
	return int32(id), token == fmt.Sprintf("%d:%d:%08x", id, seq, nonce)
}
