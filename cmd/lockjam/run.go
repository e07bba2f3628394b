package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/progress"
	"github.com/lockjam/lockjam/harness/report"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/runner"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/scenarios"
)

const runHelp = `Run scenarios and judge what they show. Without names it runs the suite of the
runbook, all claims that its scenarios can answer, in under a minute. A name
that ends in .yaml or has a slash in it is a file.

The summary goes to stdout, progress to stderr, and everything that was recorded
to a folder of its own in the folder that --out names; latest there is the last.

A server that runs already (--server redis://HOST:PORT) belongs to you: only
keys of the run's own are written to it, and none of its settings is changed
without --allow-destructive. Arms run one after the other there. Its slots are
filled like any server's, so that other applications are refused meanwhile; their
connections are left alone, unless a remedy's parameter asks for them (kill-clients,
foreign: kill).

--server process takes the first redis-server or valkey-server on PATH, and
--server process:/path/to/binary that one.

` + addressHelp + `

An arm ends once what it shows is decided: its last phase is looked at four times,
at moments that are fixed beforehand, and intervals are wider for it; an incident
ends once it is shown, where the control arm of the same run waits for the signals.
--thorough lets every phase take the scenario's time.

With several images every arm runs once on each, side by side; the report has
them in columns, and says where their verdicts differ.

On a terminal progress is a live screen: what runs, how far it is, its goodput and
the signals that fire, and what is left and has failed of the whole. Elsewhere, and
where CI is set, it is lines, and every half minute one that says what is left.
NO_COLOR and the locale are heeded. --json is a stream of events that docs/events.md
describes.

Ctrl-C stops a run and cleans up; what was recorded until then is kept.`

// addressHelp is what the helps of run and watch say of addresses.
const addressHelp = `An address is redis://[user:password@]host[:port][/database], or rediss:// for TLS.
What is special in a user or password is percent-encoded: @ is %40, / is %2F. The
server's certificate is checked against this machine's authorities: SSL_CERT_FILE
names a file with others, and ?skip_verify=true at the end of the address leaves it
unchecked.`

// limits of flags, both ends included.
const (
	maxParallel = 64
	maxRepeat   = 1000
)

// runFlags are the flags of run.
type runFlags struct {
	all              bool
	arms             []string
	server           string
	images           []string
	parallel         int
	repeat           int
	thorough         bool
	seed             uint64
	out              string
	json             bool
	quiet            bool
	metrics          string // HOST:PORT
	allowDestructive bool
}

func newRun() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run [SCENARIO | FILE.yaml ...]",
		Short: "Run scenarios and judge what they show",
		Long:  runHelp,
		Example: `  lockjam run
  lockjam run slot-lock-deadlock --arm control --repeat 20
  lockjam run mine.yaml --server process --seed 7
  lockjam run slot-lock-deadlock --image redis:7.4 --image valkey/valkey:8`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeScenarios,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "run the whole catalogue")
	flags.StringSliceVar(&f.arms, "arm", nil, "run only the arms with this `NAME`; may be repeated")
	complete(cmd, "arm", armNames)
	flags.StringVar(&f.server, "server", "auto",
		"`KIND` of server: auto, container, process[:BINARY] or redis://HOST:PORT")
	complete(cmd, "server", always("auto", server.KindContainer, server.KindProcess, server.KindProcess+":",
		"redis://"))
	flags.StringSliceVar(&f.images, "image", nil,
		"`REF` of the container's image; may be repeated, and every arm runs on each; default "+server.DefaultImage)
	flags.IntVar(&f.parallel, "parallel", 3, fmt.Sprintf("run up to `N` arms side by side, 1 to %d", maxParallel))
	flags.IntVar(&f.repeat, "repeat", 1, fmt.Sprintf("run every arm `N` times, 1 to %d", maxRepeat))
	flags.BoolVar(&f.thorough, "thorough", false, "let every phase take the scenario's time, whatever is decided before")
	flags.Uint64Var(&f.seed, "seed", 0, "seed `N` of every random choice; 0 draws one, prints and stores it")
	flags.StringVar(&f.out, "out", "results", "make the run's folder in `DIR`")
	flags.BoolVar(&f.json, "json", false, "print a stream of events, one JSON object a line, and no summary")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress, the summary only")
	flags.StringVar(&f.metrics, "metrics", "",
		"serve the run's figures to Prometheus on `HOST:PORT`, under /metrics; port 0 takes a free one")
	flags.BoolVar(&f.allowDestructive, "allow-destructive", false,
		"let remedies and triggers change the settings of a server that lockjam did not start, and hold it up while no other client is connected")
	return cmd
}

// attached reports whether lockjam did not start the server: its kind is a URL then.
func (f *runFlags) attached() bool { return strings.Contains(f.server, "://") }

// check refuses what cannot be meant, before anything starts.
func (f *runFlags) check(cmd *cobra.Command) error {
	for _, limit := range []struct {
		flag      string
		value, to int
	}{{"parallel", f.parallel, maxParallel}, {"repeat", f.repeat, maxRepeat}} {
		if limit.value < 1 || limit.value > limit.to {
			return badUsage(cmd, "%s: %d is not between 1 and %d", origin(cmd, limit.flag), limit.value, limit.to)
		}
	}
	if given(cmd, "arm") && len(f.arms) == 0 { // --arm "$ARM", and it is not set
		return badUsage(cmd, "%s: want the name of an arm", origin(cmd, "arm"))
	}
	if f.out == "" {
		return badUsage(cmd, "%s: want the name of a folder", origin(cmd, "out"))
	}
	return f.checkImages(cmd)
}

func (f *runFlags) checkImages(cmd *cobra.Command) error {
	if f.attached() || f.server == server.KindProcess || container.NamesBinary(f.server) {
		// From the environment it may be there for docker-compose alone.
		if cmd.Flags().Changed("image") {
			return badUsage(cmd, "--image: a server of kind %s has no image",
				map[bool]string{true: "address", false: f.server}[f.attached()])
		}
		return nil
	}
	for i, image := range f.images {
		if f.images[i] = strings.TrimSpace(image); f.images[i] == "" {
			return badUsage(cmd, "%s: want the name of an image", origin(cmd, "image"))
		}
	}
	if image := container.FirstDuplicate(f.images); image != "" {
		return badUsage(cmd, "%s: %s is there twice", origin(cmd, "image"), image)
	}
	return nil
}

// choose loads what is to be run.
func (f *runFlags) choose(cmd *cobra.Command, args []string) ([]*scenario.Scenario, error) {
	switch {
	case f.all && len(args) > 0 && cmd.Flags().Changed("all"):
		return nil, badUsage(cmd, "--all runs every scenario: leave out %q, or --all", args[0])
	case len(args) > 0: // names on the command line win over LOCKJAM_ALL
		return loadScenarios(args)
	case f.all:
		return loadScenarios(scenarios.Names)
	}
	suite, err := loadScenarios(scenarios.Runbook)
	for i := range suite {
		suite[i] = suite[i].Core()
	}
	return suite, err
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	chosen, err := f.choose(cmd, args)
	if err != nil {
		return err
	}
	figures, err := expose(cmd, f.metrics)
	if err != nil {
		return err
	}
	defer figures.close()
	// Before a server is looked for: an image may take minutes to come.
	if err := rundir.CheckOut(f.out); err != nil {
		return unwritable(origin(cmd, "out")+": cannot write results", err, cmd.CommandPath())
	}
	ctx, fail := context.WithCancelCause(cmd.Context())
	watch := progress.New(f.json, f.quiet, cmd.OutOrStdout(), cmd.ErrOrStderr(), fail)
	defer onSignals(fail, watch.Say)()
	figures.announce(watch.Say)
	r, folder, err := f.start(ctx, cmd, chosen, watch, figures)
	watch.Close()
	err = because(ctx, err)
	if r == nil {
		return err
	}
	return errors.Join(err, f.conclude(cmd, r, folder, err == nil))
}

// start finds a server and runs the scenarios on it.
func (f *runFlags) start(ctx context.Context, cmd *cobra.Command, chosen []*scenario.Scenario, watch progress.Progress,
	figures *exposition) (*result.Run, string, error) {
	note := watch.Say
	if f.json || f.quiet {
		note = func(string) {}
	}
	f.sweep(ctx, note)
	if f.attached() && f.parallel > 1 {
		if given(cmd, "parallel") {
			note(fmt.Sprintf("%s: arms run one after the other on a server that lockjam did not start",
				origin(cmd, "parallel")))
		}
		f.parallel = 1
	}
	starter, images, err := container.ChooseAll(ctx, f.server, f.images, note)
	if err != nil {
		return nil, "", err
	}
	for f.seed == 0 {
		// Programs that read JSON numbers as floats keep 53 bits.
		f.seed = rand.Uint64N(1 << 53)
	}
	return runner.Run(ctx, runner.Options{
		Scenarios: chosen, Arms: f.arms, Start: starter, Images: images, Parallel: f.parallel, Repeat: f.repeat,
		Thorough: f.thorough, Seed: f.seed, Out: f.out, AllowDestructive: f.allowDestructive,
		Observe: figures.beside(watch.Observe),
	})
}

// sweep removes what runs left behind that were killed. That it could not is
// no reason not to run.
func (f *runFlags) sweep(ctx context.Context, note func(string)) {
	swept, err := server.Sweep(ctx, container.Leftovers, func(string) {})
	if swept != (server.Swept{}) {
		note(fmt.Sprintf("removed what %s had left behind: %s, %s, %s", text.Plural(swept.Runs, "killed run"),
			text.Plural(swept.Processes, "server process"), text.Plural(swept.Containers, "container"),
			text.Plural(swept.Folders, "folder")))
	}
	if err != nil && ctx.Err() == nil {
		note(fmt.Sprintf("a killed run left something behind that cannot be removed (lockjam clean says what): %v",
			err))
	}
}

// conclude writes report.md, also of a run that did not complete, and the summary.
func (f *runFlags) conclude(cmd *cobra.Command, r *result.Run, folder string, completed bool) error {
	path, err := writeReport(folder, r)
	if err != nil {
		return err
	}
	if !f.json {
		var b bytes.Buffer
		if err := report.Table(&b, r); err != nil {
			return err
		}
		fmt.Fprintf(&b, "seed: %d\nreport: %s\n", r.Seed, path)
		if err := put(cmd.OutOrStdout(), []byte(text.Printable(b.String()))); err != nil {
			return err
		}
	}
	if !completed {
		return nil // why it did not says more than an outcome
	}
	return outcomeOf(r)
}
