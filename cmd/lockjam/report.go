package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/report"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/server"
)

// What is in every run folder, for people and for CI servers.
const (
	reportFile = "report.md"
	pageFile   = "report.html"
	junitFile  = "junit.xml"
)

const reportHelp = `Write the report of a recorded run.

Markdown fits into a comment on a pull request: what there is no room for is left
out from the end, and a line says so.

With --format github the summary is added to the file that $GITHUB_STEP_SUMMARY
names, and what goes to stdout are annotations, as GitHub Actions reads them: an
error for every expectation that was not met, at its line in the scenario file
that the run was given, and a warning for every arm of which nothing can be said.
Outside of GitHub Actions, where the variable is not set, the summary goes to
stdout too. "lockjam run" writes neither by itself. The exit code is 0 whatever
the outcome was: that of "lockjam run" says it.`

func newReport() *cobra.Command {
	var format, output string
	cmd := &cobra.Command{
		Use:   "report RUN-DIR",
		Short: "Write the report of a recorded run",
		Long:  reportHelp,
		Example: `  lockjam report results/latest
  lockjam report results/latest --format json --output run.json
  lockjam report results/latest --format github`,
		Args:              exactly(1, "RUN-DIR"),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command,
			args []string) error {
			return writeFormat(cmd, args[0], format, output)
		},
	}
	cmd.Flags().StringVar(&format, "format", "markdown", "`NAME` of the format: "+strings.Join(report.Formats(), ", "))
	complete(cmd, "format", always(report.Formats()...))
	cmd.Flags().StringVar(&output, "output", "-", "`FILE` to write to; - is stdout")
	return cmd
}

func writeFormat(cmd *cobra.Command, folder, format, output string) error {
	if there := report.Formats(); !slices.Contains(there, format) {
		return badUsage(cmd, "format %s does not exist; there are: %s", format, strings.Join(there, ", "))
	}
	r, err := rundir.Load(folder)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if format == githubFormat {
		err = writeGitHub(&b, r)
	} else {
		err = report.Write(&b, format, r)
	}
	if err != nil {
		return err
	}
	return writeTo(cmd, output, b.Bytes())
}

// writeTo writes a finished text to where --output says.
func writeTo(cmd *cobra.Command, output string, text []byte) error {
	if output == "-" {
		return put(cmd.OutOrStdout(), text)
	}
	if err := writeOutput(output, text); err != nil {
		return unwritable(origin(cmd, "output"), err, "")
	}
	return nil
}

const (
	githubFormat = "github"
	stepSummary  = "GITHUB_STEP_SUMMARY" // names the file that GitHub shows of a step
)

// writeGitHub adds the summary to the step's, if there is one.
func writeGitHub(w io.Writer, r *result.Run) error {
	path := os.Getenv(stepSummary)
	if path == "" {
		return report.Write(w, githubFormat, r)
	}
	var summary bytes.Buffer
	if err := report.GitHub(&summary, w, r); err != nil {
		return err
	}
	// Others may have written to it: it is added to, and never replaced.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err == nil {
		_, err = f.Write(summary.Bytes())
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return unwritable(stepSummary+" (environment)", err, "")
	}
	return nil
}

// writeOutput replaces a file as a whole. What is there and is no plain file (a
// device, a pipe, a link to one) is written to: a rename would put a file in
// its place, and root has one /dev/null only.
func writeOutput(path string, data []byte) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() {
		return history.WriteFile(path, data)
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// writeReport puts report.md, report.html and junit.xml into a run folder and returns
// the path of the first.
func writeReport(folder string, r *result.Run) (string, error) {
	for _, f := range []struct{ format, file string }{{"junit", junitFile}, {"html", pageFile},
		{"markdown", reportFile}} {
		var b bytes.Buffer
		if err := report.Write(&b, f.format, r); err != nil {
			return "", fmt.Errorf("%w: %w", result.ErrInternal, err)
		}
		if err := history.WriteFile(filepath.Join(folder, f.file), b.Bytes()); err != nil {
			return "", server.Unusable(err)
		}
	}
	return filepath.Join(folder, reportFile), nil
}
