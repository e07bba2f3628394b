package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
)

const watchHelp = `Run the signals against a Redis that runs already: in staging, on a game day.
It only reads, over one connection that it opens at the start and keeps, since a
full server lets nobody in. Ten times a second it asks for INFO, once a second it
counts the lock keys with SCAN.

The first seconds (--baseline) are what later ones are compared with, so begin
before the incident. Signals that need the workers' own view are not available
here and say so.

MONITOR shows Redis's whole traffic and costs it throughput: it is listened to
only with --monitor, for a fifth of a second once a second, over a second
connection. With --canary a raw socket dials five times a second and reads what
the server tells it; while there is room, it takes a slot for 30 ms.

Exit code 0: no signal fired. 1: one did. 2: none could say anything. 69: no
connection at the start, or none at the end. Ctrl-C ends the watch as --for does.

With --json every line is an object: "event" is "sighting" once a second, and
"watched" at the end, with the same fields. A figure that could not be read is
null; a signal that is "unavailable" says why.`

type watchFlags struct {
	length, baseline time.Duration
	locks            string
	monitor, canary  bool
	json             bool
	params           []string
}

// maxBaseline bounds how many samples are kept for comparison.
const maxBaseline = 10 * time.Minute

func newWatch() *cobra.Command {
	f := &watchFlags{}
	cmd := &cobra.Command{
		Use:   "watch redis://HOST:PORT",
		Short: "Run the signals against a Redis that runs already, read-only",
		Long:  watchHelp,
		Example: `  lockjam watch redis://127.0.0.1:6390 --for 30s
  lockjam watch rediss://user:secret@staging:6379 --json
  lockjam watch redis://127.0.0.1:6390 --set client-saturation.ratio=0.9`,
		Args: exactly(1, "redis://HOST:PORT"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.length, "for", 0, "stop after this `TIME`, such as 30s; 0: at Ctrl-C")
	flags.DurationVar(&f.baseline, "baseline", 5*time.Second, "compare with the first `TIME`")
	flags.StringVar(&f.locks, "locks", "lock:", "`PREFIX` of the keys that are locks")
	flags.BoolVar(&f.monitor, "monitor", false, "listen to MONITOR as well")
	flags.BoolVar(&f.canary, "canary", false, "dial as a client would, and read what it is told")
	flags.BoolVar(&f.json, "json", false, "print one JSON object a line")
	flags.StringSliceVar(&f.params, "set", nil, "set a signal's parameter: `SIGNAL.NAME=VALUE`; may be repeated")
	return cmd
}

func (f *watchFlags) run(cmd *cobra.Command, url string) error {
	o, err := f.options(cmd, url)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	var broken error
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	explained := false
	o.Observe = func(s harness.Sighting) {
		if !explained && !f.json {
			explained = true
			broken = errors.Join(broken, explain(out, s))
		}
		broken = errors.Join(broken, f.print(out, "sighting", s))
		if broken != nil {
			cancel() // nobody reads any more
		}
	}
	last, err := harness.Lookout(ctx, o)
	if broken != nil {
		return broken
	}
	if last.Signals == nil {
		return err
	}
	return errors.Join(err, f.finish(out, last))
}

// finish says what fired. Its error is the exit code.
func (f *watchFlags) finish(out io.Writer, last harness.Sighting) error {
	fired := last.Fired()
	if f.json {
		if err := f.print(out, "watched", last); err != nil {
			return err
		}
	} else if err := put(out, []byte(printable(firedTable(last)))); err != nil {
		return err
	}
	if len(fired) > 0 {
		return outcomeError(harness.Fail)
	}
	if !slices.ContainsFunc(last.Signals, func(s harness.SignalSighted) bool { return s.Unavailable == "" }) {
		return errors.Join(outcomeError(harness.Inconclusive), errors.New("no signal could say anything: what each lacks stands above"))
	}
	return nil
}

func (f *watchFlags) options(cmd *cobra.Command, url string) (harness.LookoutOptions, error) {
	endpoint, err := server.ParseURL(url)
	if err != nil {
		return harness.LookoutOptions{}, err
	}
	o := harness.LookoutOptions{
		Endpoint: endpoint, For: f.length, Baseline: f.baseline, LockPrefix: f.locks, Monitor: f.monitor, Canary: f.canary,
		Params: map[string]map[string]float64{},
	}
	switch {
	case f.length < 0:
		return o, badUsage(cmd, "%s: %v is no length of time to watch for", origin(cmd, "for"), f.length)
	case f.baseline <= 0 || f.baseline > maxBaseline:
		return o, badUsage(cmd, "%s: %v is not between 1ns and %v", origin(cmd, "baseline"), f.baseline, maxBaseline)
	case f.locks == "" || strings.ContainsAny(f.locks, `*?[]\`):
		return o, badUsage(cmd, "%s: want the beginning of the locks' keys, without wildcards", origin(cmd, "locks"))
	}
	for _, text := range f.params {
		name, param, value, err := parameter(text)
		if err != nil {
			return o, badUsage(cmd, "%s: %v", origin(cmd, "set"), err)
		}
		if o.Params[name] == nil {
			o.Params[name] = map[string]float64{}
		}
		o.Params[name][param] = value
	}
	return o, nil
}

// parameter reads SIGNAL.NAME=VALUE.
func parameter(text string) (name, param string, value float64, err error) {
	left, right, _ := strings.Cut(text, "=")
	name, param, _ = strings.Cut(left, ".")
	s, ok := signals.Find(name)
	if !ok {
		return "", "", 0, fmt.Errorf("%q: no signal is called %q; `lockjam list signals` has their names", text, name)
	}
	if _, ok := s.Params[param]; !ok {
		return "", "", 0, fmt.Errorf("%q: signal %s has no parameter %q; there are: %s", text, name, param,
			strings.TrimSuffix(strings.TrimPrefix(parameters(s.Params), " ("), ")"))
	}
	if value, err = strconv.ParseFloat(right, 64); err != nil {
		return "", "", 0, fmt.Errorf("%q: %q is no number", text, right)
	}
	return name, param, value, nil
}

// print writes one second.
func (f *watchFlags) print(out io.Writer, event string, s harness.Sighting) error {
	if !f.json {
		return put(out, []byte(printable(secondLine(s))+"\n"))
	}
	line, err := json.Marshal(struct {
		Event string `json:"event"`
		harness.Sighting
	}{event, s})
	if err != nil {
		return fmt.Errorf("%w: %w", harness.ErrInternal, err)
	}
	return put(out, append(line, '\n'))
}

// explain says once which signals will say nothing, and why.
func explain(out io.Writer, s harness.Sighting) error {
	var b bytes.Buffer
	for _, why := range []string{"", "not available here: "} {
		byReason := map[string][]string{}
		var order []string
		for _, x := range s.Signals {
			if (why == "") != (x.Unavailable == "") {
				continue
			}
			if byReason[x.Unavailable] == nil {
				order = append(order, x.Unavailable)
			}
			byReason[x.Unavailable] = append(byReason[x.Unavailable], x.Name)
		}
		for _, reason := range order {
			line := "watching " + strings.Join(byReason[reason], ", ")
			if why != "" {
				line = why + strings.Join(byReason[reason], ", ") + " (" + reason + ")"
			}
			for _, l := range wrap(line, pageWidth) {
				fmt.Fprintln(&b, l)
			}
		}
	}
	return put(out, []byte(printable(b.String())))
}

// secondLine is a second on one line.
func secondLine(s harness.Sighting) string {
	at := fmt.Sprintf("%4.0f s  ", s.AtMS/1000)
	var parts []string
	if s.Error != "" {
		parts = append(parts, "NO ANSWER: "+s.Error)
	}
	if s.Connected != nil {
		clients := fmt.Sprintf("clients %d", *s.Connected)
		if s.MaxClients != nil && *s.MaxClients > 0 {
			clients += fmt.Sprintf("/%d (%.0f%%)", *s.MaxClients, 100*float64(*s.Connected)/float64(*s.MaxClients))
		}
		parts = append(parts, clients)
	}
	if s.RejectedPerS != nil {
		parts = append(parts, fmt.Sprintf("rejected %.0f/s", *s.RejectedPerS))
	}
	if s.CommandsPerS != nil {
		parts = append(parts, fmt.Sprintf("commands %.0f/s", *s.CommandsPerS))
	}
	if s.LockKeys != nil {
		locks := fmt.Sprintf("locks %d", *s.LockKeys)
		if s.NoTTL != nil && *s.NoTTL > 0 {
			locks += fmt.Sprintf(" (%d without TTL)", *s.NoTTL)
		}
		if s.OldestIdleS != nil && *s.OldestIdleS > 0 {
			locks += fmt.Sprintf(" (idle %.0f s)", *s.OldestIdleS)
		}
		parts = append(parts, locks)
	}
	var firing []string
	for _, x := range s.Signals {
		if x.Firing {
			firing = append(firing, x.Name)
		}
	}
	if len(firing) > 0 {
		parts = append(parts, "FIRING "+strings.Join(firing, ", "))
	}
	return at + strings.Join(parts, "  ")
}

// firedTable lists what fired, and when.
func firedTable(s harness.Sighting) string {
	if len(s.Fired()) == 0 {
		return fmt.Sprintf("no signal fired in %.0f s\n", s.AtMS/1000)
	}
	var b bytes.Buffer
	fmt.Fprintln(&b)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "FIRED\tCLAIM\tFIRST AFTER\tFOR\tSTILL")
	for _, x := range s.Signals {
		if x.FiredAtMS != nil {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%.1f s\t%.1f s\t%s\n", x.Name, dash(x.Claim), *x.FiredAtMS/1000, x.FiringMS/1000,
				map[bool]string{true: "yes", false: "no"}[x.Firing])
		}
	}
	_ = t.Flush()
	return b.String()
}
