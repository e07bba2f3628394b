// Command lockjam puts a Redis incident runbook to the test: it starts a Redis
// with few client slots, drives a swarm of workers into the failure that the
// runbook is about, and judges from what it recorded which signals fire and
// which remedies help.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is lockjam with these arguments. It returns the exit code.
func run(args []string, stdout, stderr io.Writer) (code int) {
	// A panic would exit with 2, which says inconclusive.
	defer func() {
		if fault := recover(); fault != nil {
			_, _ = fmt.Fprintf(stderr, "lockjam: internal error: %v\n%s", fault, debug.Stack())
			code = int(exitInternal)
		}
	}()
	// go-redis reports every refused connection on stderr. Refused connections
	// are this program's daily bread, and they are counted where they happen.
	redis.SetLogger(silent{})
	root := newRoot()
	root.SetArgs(append([]string{}, args...)) // never nil: cobra takes nil for "read os.Args"
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	complain(stderr, err)
	return int(codeOf(err))
}

// silent is a logger of go-redis that drops everything.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

const rootHelp = `lockjam puts a Redis incident runbook to the test. It starts a real Redis with
few client slots, drives a swarm of workers into the deadlock that the runbook
is about, and answers with evidence: which signals fire, which remedies restore
throughput for good, and which of them break mutual exclusion.

Start with "lockjam run", which takes under a minute.

Every flag has a twin in the environment, named in the help of its command. A
flag wins over its twin; a twin that is set to nothing counts as not set.

Exit codes:
    0  pass: everything was as expected
    1  an expectation was not met
    2  inconclusive: an assumption did not hold, so nothing can be said
   64  usage or scenario error
   69  no Redis found, or the server or this machine cannot be used
   70  an error of lockjam's own, or something could not be cleaned up
  130  interrupted, and cleaned up`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "lockjam",
		Short: "Put a Redis incident runbook to the test",
		Long:  rootHelp,
		// Errors are ours to print, and a page of usage after each would bury them.
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // or cobra would answer unknown commands before RunE can
		RunE:          noCommand,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return applyEnvironment(cmd, os.LookupEnv)
		},
	}
	root.SuggestionsMinimumDistance = 2 // two letters swapped are two edits
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return badUsage(cmd, "%s", flagProblem(err)) })
	root.AddCommand(newCheck(), newClean(), newCompare(), newJudge(), newList(), newNew(), newReport(), newRules(),
		newRun(), newShow(), newVersion(), newWatch())
	for _, cmd := range root.Commands() {
		nameTwins(cmd)
	}
	return root
}

// noCommand answers a command line without a command that exists. It is an
// error even when it is empty: exit code 0 says that something passed.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return badUsage(cmd, "say what to do: %s", commandNames(cmd))
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return badUsage(cmd, "unknown command %q; did you mean %q?", args[0], near[0])
	}
	return badUsage(cmd, "unknown command %q; there are: %s", args[0], commandNames(cmd))
}

func commandNames(cmd *cobra.Command) string {
	names := ""
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names += ", " + c.Name()
		}
	}
	return names[2:]
}

// exactly demands n arguments; what says which.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return badUsage(cmd, "%s is missing", what)
		case len(args) > n && n == 0:
			return badUsage(cmd, "%q: %s takes no arguments", args[0], cmd.CommandPath())
		case len(args) > n && n > 1:
			return badUsage(cmd, "%q: only %d of %s at a time", args[n], n, what)
		case len(args) > n:
			return badUsage(cmd, "%q: only one %s at a time", args[n], what)
		}
		return nil
	}
}

// put writes a finished text, so that what cannot be written is an error and
// not a report that ends in the middle.
func put(w io.Writer, text []byte) error {
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("cannot write the output: %w", err)
	}
	return nil
}
