package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Replays writes how the verdicts of looks compare with those of whole phases: a line for
// each that differs, and a sum.
func Replays(w io.Writer, all []result.Replay) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w,
			"looks: nothing to replay (the run was not recorded with --thorough, or no arm has a verdict)")
		return err
	}
	var early, differ int
	var saved float64
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range all {
		if r.Looks > 0 {
			early++
			saved += r.SavedMS
		}
		if r.Agrees() {
			continue
		}
		if differ++; differ == 1 {
			_, _ = fmt.Fprintln(t, "ARM\tWHOLE PHASE\tAT THE LOOK\tLOOKS\tBECAUSE")
		}
		_, _ = fmt.Fprintf(t, "%s/%s%s\t%s%s\t%s%s\t%d\t%s\n", view.Plain(r.Scenario), view.Plain(r.Arm),
			view.Plain(view.On(r.Image)), view.Plain(string(r.Full)), unsafe(r.FullUnsafe), view.Plain(string(r.Early)),
			unsafe(r.EarlyUnsafe), r.Looks, view.Plain(r.Because))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "looks: %d of %s decided before the end, %.1f s saved, %s\n", early,
		text.Plural(len(all), "verdict"), saved/1000, text.Plural(differ, "verdict")+" would differ")
	return err
}

func unsafe(yes bool) string {
	if yes {
		return ", UNSAFE"
	}
	return ""
}
