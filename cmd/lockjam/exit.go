package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/machine"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/text"
)

// exitCode is what the shell gets. The numbers are part of the contract; those
// from 64 on are sysexits.h's.
type exitCode int

const (
	exitPass         exitCode = 0
	exitFail         exitCode = 1
	exitInconclusive exitCode = 2
	exitUsage        exitCode = 64  // EX_USAGE
	exitUnavailable  exitCode = 69  // EX_UNAVAILABLE
	exitInternal     exitCode = 70  // EX_SOFTWARE
	exitInterrupted  exitCode = 130 // what a shell reports for SIGINT
)

// usageError is a command line, environment or file that cannot be meant.
type usageError struct {
	message string
	command string // whose help explains it; "" if no help does
}

func (e *usageError) Error() string { return e.message }

// badUsage is an error in how cmd was called, with a hint at its help.
func badUsage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...), command: cmd.CommandPath()}
}

// outcomeError carries the outcome of a completed run to the exit code. There
// is nothing to print: the summary has said it.
type outcomeError result.Outcome

func (e outcomeError) Error() string { return "outcome: " + string(e) }

// outcomeOf is nil for a pass.
func outcomeOf(r *result.Run) error {
	if r.Outcome == result.Pass {
		return nil
	}
	return outcomeError(r.Outcome)
}

// codeOf says how an error ends lockjam. What was left behind comes first: it
// matters more than why.
func codeOf(err error) exitCode {
	var (
		outcome outcomeError
		stopped *interrupted
	)
	switch {
	case err == nil:
		return exitPass
	case errors.As(err, &outcome):
		return codeOfOutcome(result.Outcome(outcome))
	case errors.Is(err, result.ErrCleanup):
		return exitInternal
	case errors.As(err, &stopped):
		if errors.Is(err, result.ErrInternal) {
			return exitInternal
		}
		return exitInterrupted
	case errors.Is(err, server.ErrUnavailable):
		return exitUnavailable
	case isUsage(err):
		return exitUsage
	case errors.Is(err, server.ErrUnusable):
		return exitUnavailable
	case !errors.Is(err, result.ErrInternal) && machine.Says(err):
		return exitUnavailable
	}
	return exitInternal
}

func codeOfOutcome(o result.Outcome) exitCode {
	switch o {
	case result.Pass:
		return exitPass
	case result.Fail:
		return exitFail
	}
	return exitInconclusive
}

// isUsage comes before what the machine refuses: a folder that cannot be written to
// was the user's choice.
func isUsage(err error) bool {
	var (
		usage *usageError
		file  scenario.Errors
	)
	return errors.As(err, &usage) || errors.As(err, &file) || errors.Is(err, scenario.ErrUnknown) ||
		errors.Is(err, result.ErrUsage) || errors.Is(err, server.ErrUsage)
}

// complain prints an error, a line for each of the errors that it joins.
func complain(w io.Writer, err error) {
	lines := complaints(err)
	more := len(lines) - complaintLines
	for _, line := range lines[:min(len(lines), complaintLines)] {
		_, _ = fmt.Fprintln(w, shorten(line))
	}
	if more > 0 {
		_, _ = fmt.Fprintf(w, "lockjam: and %d more\n", more)
	}
}

// What is printed of errors, at most: what they say comes from files and servers, and
// may be of any length.
const (
	complaintLines = 200
	complaintBytes = 2000 // of one line
)

// shorten cuts a line that is too long for anyone to read.
func shorten(line string) string {
	if len(line) <= complaintBytes {
		return line
	}
	return fmt.Sprintf("%s... (%d bytes in all)", strings.ToValidUTF8(line[:complaintBytes], ""), len(line))
}

// unwritable is the error of a file or folder that the user named and that cannot be
// written: the name is wrong, unless it is this machine that has run out of something.
// The command is the one whose help explains the name; "" if none does.
func unwritable(name string, err error, command string) error {
	said := fmt.Errorf("%s: %w", name, err)
	if machine.Short(err) {
		return server.Unusable(said)
	}
	return &usageError{message: said.Error(), command: command}
}

func complaints(err error) []string {
	var lines []string
	for _, e := range flatten(err) {
		var (
			outcome outcomeError
			usage   *usageError
			file    scenario.Errors
		)
		switch {
		case errors.As(e, &outcome):
		case errors.As(e, &file):
			// Bare FILE:LINE:COLUMN, which editors and CI logs turn into a link.
			lines = append(lines, strings.Split(text.Printable(file.Error()), "\n")...)
		case errors.As(e, &usage) && usage.command != "":
			lines = append(lines, fmt.Sprintf("lockjam: %s; run `%s --help`", text.Printable(usage.message),
				usage.command))
		default:
			said := text.Printable(e.Error())
			for _, sentinel := range []error{result.ErrUsage, server.ErrUsage} {
				said = strings.Replace(said, sentinel.Error()+": ", "", 1) // it is for errors.Is, not for people
			}
			for line := range strings.Lines(said) {
				lines = append(lines, "lockjam: "+strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return lines
}

// flatten takes apart what errors.Join joined, a line each. An error that wraps
// several with %w is one sentence, and stays one.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if _, file := err.(scenario.Errors); !ok || file {
		return []error{err}
	}
	var texts []string
	for _, e := range joined.Unwrap() {
		texts = append(texts, e.Error())
	}
	if strings.Join(texts, "\n") != err.Error() {
		return []error{err}
	}
	var flat []error
	for _, e := range joined.Unwrap() {
		flat = append(flat, flatten(e)...)
	}
	return flat
}
