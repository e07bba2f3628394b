package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/text"
)

const checkHelp = `Check scenario files without running them: everything that run would refuse, all
of it at once, a line for each problem with its file, line and column.

A name from "lockjam list scenarios" is checked as well.`

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE.yaml ...",
		Short: "Check scenario files without running them",
		Long:  checkHelp,
		Example: `  lockjam check mine.yaml
  lockjam check scenarios/*.yaml`,
		Args:              cobra.ArbitraryArgs, // none is an error of ours, with a hint at the help
		ValidArgsFunction: completeScenarios,
		RunE:              check,
	}
}

// check goes on after a bad file. Good ones are named on stdout, problems on stderr.
func check(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return badUsage(cmd, "FILE.yaml is missing")
	}
	var good strings.Builder
	var errs []error
	for _, arg := range args {
		sc, err := loadScenario(arg)
		if err != nil {
			errs = append(errs, oneByOne(err)...)
			continue
		}
		fmt.Fprintf(&good, "%s: ok: %s, %s\n", arg, sc.Name, text.Plural(len(sc.Arms), "arm"))
	}
	return errors.Join(append(errs, put(cmd.OutOrStdout(), []byte(text.Printable(good.String()))))...)
}

// problemLines is how many problems of one file check spells out: more than anyone
// mends before the next look.
const problemLines = 50

// oneByOne takes a file's problems apart. Together they are cut off after the first
// few, to leave them on the screen; a check shows more of them.
func oneByOne(err error) []error {
	var problems scenario.Errors
	if !errors.As(err, &problems) {
		return []error{err}
	}
	var all []error
	for i, p := range problems {
		if i == problemLines {
			return append(all, &usageError{message: fmt.Sprintf("%s: and %d more", p.Path, len(problems)-i)})
		}
		all = append(all, scenario.Errors{p})
	}
	return all
}
