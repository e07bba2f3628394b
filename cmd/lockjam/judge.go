package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/report"
)

const judgeHelp = `Judge a recorded run again, from the scenarios and histories in its folder
alone: no Redis is needed. The verdicts and reports in the folder are
rewritten. The exit code is that of the outcome, as after a run.`

func newJudge() *cobra.Command {
	return &cobra.Command{
		Use:               "judge RUN-DIR",
		Short:             "Judge a recorded run again, offline",
		Long:              judgeHelp,
		Example:           "  lockjam judge results/latest",
		Args:              exactly(1, "RUN-DIR"),
		ValidArgsFunction: completeRuns,
		RunE:              func(cmd *cobra.Command, args []string) error { return judge(cmd, args[0]) },
	}
}

func judge(cmd *cobra.Command, folder string) error {
	r, changed, err := harness.Rejudge(folder)
	if r == nil {
		return err
	}
	path, reportErr := writeReport(folder, r)
	if err == nil {
		err = reportErr
	}
	if err != nil { // a folder that is kept read-only: the verdicts are worth reading all the same
		err = &usageError{message: fmt.Sprintf("%s: the verdicts cannot be stored: %v", folder, strings.SplitN(err.Error(), "\n", 2)[0])}
		path = "not written"
	}
	var b bytes.Buffer
	if err := report.Table(&b, r); err != nil {
		return err
	}
	for i, name := range changed {
		changed[i] = report.Name(name)
	}
	if len(changed) > 0 {
		fmt.Fprintf(&b, "changed: %s\n", strings.Join(changed, ", "))
	} else {
		fmt.Fprintln(&b, "changed: nothing")
	}
	fmt.Fprintf(&b, "report: %s\n", path)
	if err := put(cmd.OutOrStdout(), []byte(printable(b.String()))); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	return outcomeOf(r)
}
