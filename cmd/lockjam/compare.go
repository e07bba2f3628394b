package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/report"
	"github.com/lockjam/lockjam/harness/result"
)

const compareHelp = `Compare the second run with the first, arm by arm: which verdicts changed,
which figures differ by more than noise, which signals became slower. No Redis
is needed.

Verdicts are compared as they are: they do not waver where nothing has changed.
Figures do, and a single run of each says little about that: a figure is better
or worse only where repeats (lockjam run --repeat 10) show it beyond noise, by
the Mann-Whitney U test, which benchstat uses too, corrected by Holm's method
for the number of figures of a rule. In at most one of twenty comparisons in
which nothing has changed does a rule find something all the same. Goodput as a
share of the baseline needs no repeats where the 95%% intervals of one run and of
the other are a factor of 2 apart at their near ends, and the higher one is at
half of the baseline or more: no noise that was measured comes near to that.

What is a regression is said by --fail-on, as NAME or, for a rule that weighs
figures, 'NAME>N%%': then a difference of the median by at most N%% of the first
run's passes. A list replaces the default rules. With + before each of its names
it is added to them: '+goodput>5%%'. What was worse by a rule that was not asked
for is listed as not gated.

%s
  any        all of these
  none       none of these: compare, and pass

Exit codes: 0 no regression, 1 a regression, 2 inconclusive: a rule was asked for
that cannot be answered (no arm in common, an arm that is inconclusive, too few
repeats, a second run that was cut short).`

func newCompare() *cobra.Command {
	var format, output string
	var failOn []string
	cmd := &cobra.Command{
		Use:   "compare RUN-DIR RUN-DIR",
		Short: "Compare two recorded runs: what regressed, beyond noise",
		Long:  fmt.Sprintf(compareHelp, ruleList()),
		Example: `  lockjam compare results/20261124-101500-1f3a results/latest
  lockjam compare before after --fail-on '+goodput>5%' --format markdown`,
		Args:              exactly(2, "RUN-DIR"),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command,
			args []string) error {
			return compareRuns(cmd, args, format, output, failOn)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`NAME` of the format: "+
		strings.Join(report.ComparisonFormats(), ", "))
	cmd.Flags().StringVar(&output, "output", "-", "`FILE` to write to; - is stdout")
	cmd.Flags().StringSliceVar(&failOn, "fail-on", defaultRules(),
		"what is a regression, a `RULE` of the list above, or +RULE to add it to the default; may be repeated")
	complete(cmd, "format", always(report.ComparisonFormats()...))
	complete(cmd, "fail-on", always(ruleNames()...))
	return cmd
}

func ruleNames() []string {
	names := []string{string(compare.Any), string(compare.None)}
	for _, r := range compare.Rules() {
		names = append(names, string(r.Rule))
	}
	return names
}

func ruleList() string {
	var b strings.Builder
	for _, needs := range []bool{false, true} {
		if needs {
			b.WriteString("These need repeats:\n")
		} else {
			b.WriteString("For these one run each is enough:\n")
		}
		for _, r := range compare.Rules() {
			if r.Figures == needs {
				fmt.Fprintf(&b, "  %-10s %s\n", r.Rule, r.Means)
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func defaultRules() []string {
	var names []string
	for _, l := range compare.Default() {
		names = append(names, l.String())
	}
	return names
}

func compareRuns(cmd *cobra.Command, folders []string, format, output string, failOn []string) error {
	if there := report.ComparisonFormats(); !slices.Contains(there, format) {
		return badUsage(cmd, "format %s does not exist; there are: %s", format, strings.Join(there, ", "))
	}
	limits, err := compare.ParseRules(failOn)
	if err != nil {
		return badUsage(cmd, "%s: %v", origin(cmd, "fail-on"), err)
	}
	before, err := compare.Load(folders[0])
	if err != nil {
		return err
	}
	after, err := compare.Load(folders[1])
	if err != nil {
		return err
	}
	c := compare.Runs(before, after, limits)
	var b bytes.Buffer
	if err := report.WriteComparison(&b, format, c); err != nil {
		return err
	}
	if err := writeTo(cmd, output, b.Bytes()); err != nil {
		return err
	}
	if c.Outcome != result.Pass {
		return outcomeError(c.Outcome)
	}
	return nil
}
