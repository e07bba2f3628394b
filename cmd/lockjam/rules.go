package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/rules"
)

const rulesHelp = `Write alerting rules for Prometheus over the metrics of redis_exporter, in two
groups: runbook has the thresholds of the runbook as it words them, each with what
was measured of it; lockjam has what the measurements support in their place.

Windows and waiting times are made from how often Prometheus scrapes: rates are taken
over four scrapes, and most alerts wait for four.`

func newRules() *cobra.Command {
	var output string
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Write the runbook's thresholds, and better ones, as Prometheus rules",
		Long:  rulesHelp,
		Example: `  lockjam rules --output lockjam.rules.yml
  lockjam rules --interval 1m | promtool check rules /dev/stdin`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return writeRules(cmd, output, interval) },
	}
	cmd.Flags().StringVar(&output, "output", "-", "`FILE` to write to; - is stdout")
	cmd.Flags().DurationVar(&interval, "interval", rules.DefaultInterval,
		fmt.Sprintf("`TIME` between two scrapes (scrape_interval), %v to %v", rules.MinInterval, rules.MaxInterval))
	return cmd
}

func writeRules(cmd *cobra.Command, output string, interval time.Duration) error {
	if interval < rules.MinInterval || interval > rules.MaxInterval {
		return badUsage(cmd, "%s: %v is not between %v and %v", origin(cmd, "interval"), interval, rules.MinInterval,
			rules.MaxInterval)
	}
	var b bytes.Buffer
	if err := rules.Write(&b, interval); err != nil {
		return err
	}
	return writeTo(cmd, output, b.Bytes())
}
