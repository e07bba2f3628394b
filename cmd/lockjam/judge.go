package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/report"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/runner"
	"github.com/lockjam/lockjam/harness/text"
)

const judgeHelp = `Judge a recorded run again, from the scenarios and histories in its folder
alone: no Redis is needed. The verdicts and reports in the folder are
rewritten, and what changed is listed: a line for each arm that turned, and of
those with other figures alone the first few. The exit code is that of the
outcome, as after a run.

An arm whose recording is gone or damaged keeps its verdict, and is listed: of the
run as a whole it cannot be said any more that it passes, and the exit code is 2.
So does one whose history has more than 10 million operations, or would take more
than 3 GiB of memory.

With --margin 10 each arm that passed is judged once more for each number that
its verdict rests on (cure.ratio, a signal's within_ms), a tenth lower and a
tenth higher, all else being as it was. What turns is listed: unless it is the
same in every run, it flaps on another machine or in the hundredth one. A full
cure is near 1, so a cure.ratio of 0.9 is always listed at 10. Nothing is
rewritten for it.

With --looks the looks that end an arm once its verdict is decided are replayed on a
run that was recorded with run --thorough, and every verdict that would differ is
listed. Nothing is rewritten for it either.`

// maxMargin is as far as a number can be lowered.
const maxMargin = 99

func newJudge() *cobra.Command {
	var margin int
	var looks bool
	cmd := &cobra.Command{
		Use:   "judge RUN-DIR",
		Short: "Judge a recorded run again, offline",
		Long:  judgeHelp,
		Example: `  lockjam judge results/latest
  lockjam judge results/latest --margin 10`,
		Args:              exactly(1, "RUN-DIR"),
		ValidArgsFunction: completeRuns,
		RunE:              func(cmd *cobra.Command, args []string) error { return judge(cmd, args[0], margin, looks) },
	}
	cmd.Flags().IntVar(&margin, "margin", 0,
		fmt.Sprintf("list what turns where a number is `N` percent off, 1 to %d; 0 leaves it out", maxMargin))
	cmd.Flags().BoolVar(&looks, "looks", false,
		"list which verdicts would differ, had the arms ended once they were decided")
	return cmd
}

func judge(cmd *cobra.Command, folder string, margin int, looks bool) error {
	if margin < 0 || margin > maxMargin {
		return badUsage(cmd, "%s: %d is not between 0 and %d", origin(cmd, "margin"), margin, maxMargin)
	}
	r, changes, err := runner.Rejudge(folder)
	if r == nil {
		return err
	}
	path, reportErr := writeReport(folder, r)
	if err == nil {
		err = reportErr
	}
	if err != nil { // a folder that is kept read-only: the verdicts are worth reading all the same
		err = unwritable(folder, fmt.Errorf("the verdicts cannot be stored: %w", flatten(err)[0]), "")
		path = "not written"
	}
	var b bytes.Buffer
	if err := report.Table(&b, r); err != nil {
		return err
	}
	if err := report.Changes(&b, changes); err != nil {
		return err
	}
	if margin > 0 {
		if err := writeMargins(&b, folder, float64(margin)/100); err != nil {
			return err
		}
	}
	if looks {
		if err := writeReplays(&b, folder); err != nil {
			return err
		}
	}
	fmt.Fprintf(&b, "report: %s\n", path)
	if err := put(cmd.OutOrStdout(), []byte(text.Printable(b.String()))); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	lost := slices.ContainsFunc(changes, func(c result.Change) bool { return c.Lost != nil })
	if lost && r.Outcome == result.Pass {
		return outcomeError(result.Inconclusive) // of the whole run, that is
	}
	return outcomeOf(r)
}

func writeMargins(w io.Writer, folder string, share float64) error {
	margins, err := runner.Margins(folder, share)
	if err != nil {
		return err
	}
	return report.Margins(w, margins, share)
}

func writeReplays(w io.Writer, folder string) error {
	replays, err := runner.Replays(folder)
	if err != nil {
		return err
	}
	return report.Replays(w, replays)
}
