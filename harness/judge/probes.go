package judge

import (
	"fmt"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// probes are what the probes showed, each with a sentence.
func probes(e Evidence) (all []result.Probe) {
	moved := int64(0) // in the probe before, which lasts as long and changes nothing
	for _, p := range e.History.Probes {
		r := result.Probe{
			Name: p.Name, Did: p.Command, AtMS: text.Millis(p.At), TookMS: text.Millis(p.Took), Connected: p.Connected,
			Lines:   p.Lines,
			Matches: p.Matches, Grants: p.Grants, Releases: p.Releases, Said: p.Output, Failed: p.Error,
		}
		switch {
		case p.Error != "":
			r.Because = "It could not be done: " + p.Error + "."
		case p.Name == history.RunbookMonitor && !p.Connected:
			r.Because = fmt.Sprintf("It could not connect, and grep printed nothing: redis-cli said %q.",
				text.FirstLine(p.Output))
		case p.Name == history.RunbookMonitor:
			r.Because = fmt.Sprintf("It connected; of %d lines that MONITOR printed grep let %d through.", p.Lines,
				p.Matches)
		case p.Grants+p.Releases == 0:
			r.Because = "With one more slot nothing moved."
		case moved > 0:
			r.Because = fmt.Sprintf("With one more slot there were %s and %s; but it was moving before that.",
				text.Plural(p.Grants, "grant"), text.Plural(p.Releases, "release"))
		default:
			r.Because = fmt.Sprintf("With one more slot work went on: %s and %s.", text.Plural(p.Grants, "grant"),
				text.Plural(p.Releases, "release"))
		}
		moved = p.Grants + p.Releases
		all = append(all, r)
	}
	return all
}
