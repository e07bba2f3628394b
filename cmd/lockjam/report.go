package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/report"
)

// What is in every run folder, for people and for CI servers.
const (
	reportFile = "report.md"
	pageFile   = "report.html"
	junitFile  = "junit.xml"
)

// promised are formats of the contract that are still to come.
var promised = []string{"github"}

func newReport() *cobra.Command {
	var format, output string
	cmd := &cobra.Command{
		Use:   "report RUN-DIR",
		Short: "Write the report of a recorded run",
		Example: `  lockjam report results/latest
  lockjam report results/latest --format json --output run.json`,
		Args: exactly(1, "RUN-DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return writeFormat(cmd, args[0], format, output) },
	}
	cmd.Flags().StringVar(&format, "format", "markdown", "`NAME` of the format: "+strings.Join(report.Formats(), ", "))
	cmd.Flags().StringVar(&output, "output", "-", "`FILE` to write to; - is stdout")
	return cmd
}

func writeFormat(cmd *cobra.Command, folder, format, output string) error {
	if there := report.Formats(); !slices.Contains(there, format) {
		problem := "does not exist"
		if slices.Contains(promised, format) {
			problem = "is not there yet"
		}
		return badUsage(cmd, "format %s %s; there are: %s", format, problem, strings.Join(there, ", "))
	}
	r, err := harness.LoadRun(folder)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := report.Write(&b, format, r); err != nil {
		return err
	}
	if output == "-" {
		return put(cmd.OutOrStdout(), b.Bytes())
	}
	if err := writeOutput(output, b.Bytes()); err != nil {
		return &usageError{message: fmt.Sprintf("%s: %v", origin(cmd, "output"), err)}
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
func writeReport(folder string, r *harness.Run) (string, error) {
	for _, f := range []struct{ format, file string }{{"junit", junitFile}, {"html", pageFile}, {"markdown", reportFile}} {
		var b bytes.Buffer
		if err := report.Write(&b, f.format, r); err != nil {
			return "", fmt.Errorf("%w: %w", harness.ErrInternal, err)
		}
		if err := history.WriteFile(filepath.Join(folder, f.file), b.Bytes()); err != nil {
			return "", fmt.Errorf("%w: %w", harness.ErrInternal, err)
		}
	}
	return filepath.Join(folder, reportFile), nil
}
