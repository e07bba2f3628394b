package signals

import (
	"fmt"
	"math"

	"github.com/lockjam/lockjam/harness/history"
)

// What a full server says to a client is lost in the client's library: it has
// written its handshake before it reads, and what it then gets to see is the
// reset. A raw socket that reads before it writes is told. How often that
// happens, and how often go-redis passes it on, stand side by side in the figures.
var refusedClients = Signal{
	Name:    "refused-clients",
	Claim:   "S1",
	Summary: "a raw socket was told more than count times within window_ms that the server is full",
	Params:  Params{"count": 0, "window_ms": 1000},
	Ranges:  Ranges{"count": number(millions), "window_ms": window(sampledEveryMS)},
	Fits: func(param string, p Params, in Setting) error {
		if in.CanaryEvery <= 0 {
			return nil
		}
		// A window may be longer by the time between two samples.
		most := math.Floor((p["window_ms"]+2*sampledEveryMS)/millis(in.CanaryEvery)) + 1
		if param == "count" && p[param] >= most {
			return fmt.Errorf("%s: want less than %s: the canary dials no more often in window_ms, %s, and it never fires",
				plain(p[param]), plain(most), plain(p["window_ms"]))
		}
		return nil
	},
	Reads: func(s *history.Sample) (told bool, why string) {
		c := s.Canary
		switch {
		case c == nil:
			return false, ""
		case c.Silent+c.Unreachable > 0:
			why = "nothing answered the canary"
		}
		return c.Admitted+c.Refused+c.Cut > 0, because(why, c.Error)
	},
	Unavailable: func(h View) string {
		found, why := seek(h.Samples, func(s *history.Sample) (bool, string) {
			if s.Canary == nil {
				return false, ""
			}
			return s.Canary.Dials > 0, s.Canary.Error
		})
		if found {
			return ""
		}
		return because("no canary dialled", why)
	},
	Firings: func(h View, p Params) []Firing {
		dials := dialled(h, func(c *history.Canary) int64 { return c.Dials })
		refused := dialled(h, func(c *history.Canary) int64 { return c.Refused })
		return firings(dials.samples, 0, func(i int) reading {
			then := max(back(dials.samples, i, p.millis("window_ms")), 0)
			if dials.grown(then, i) == 0 {
				return unknown // it did not ask
			}
			return when(float64(refused.grown(then, i)) > p["count"])
		})
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		dials := dialled(h, func(c *history.Canary) int64 { return c.Dials })
		first, last, ok := dials.ends(in)
		if !ok || dials.total[last] == 0 {
			return nil
		}
		figures := told(h, in)
		for name, count := range map[string]func(*history.Canary) int64{
			"canary_dials":       func(c *history.Canary) int64 { return c.Dials },
			"canary_refused":     func(c *history.Canary) int64 { return c.Refused },
			"canary_cut":         func(c *history.Canary) int64 { return c.Cut },
			"canary_silent":      func(c *history.Canary) int64 { return c.Silent },
			"canary_unreachable": func(c *history.Canary) int64 { return c.Unreachable },
		} {
			figures[name] = float64(dialled(h, count).grown(first, last))
		}
		return figures
	},
}

func dialled(h View, count func(*history.Canary) int64) counter {
	samples := only(h.Samples, func(s *history.Sample) (bool, string) { return s.Canary != nil, "" })
	return counted(samples, func(s *history.Sample) int64 { return count(s.Canary) })
}
