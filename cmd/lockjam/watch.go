package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/observe"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/text"
)

const watchHelp = `Run the signals against a Redis that runs already: in staging, on a game day.
It only reads, over one connection that it opens at the start and keeps, since a
full server admits no client. Ten times a second it asks for INFO. Once a second it
looks for lock keys with SCAN, at 20,000 keys at most; it goes on where it was, and
the count is of the last time that it came through the whole keyspace. Of the locks
it asks the first 200 for their TTL and idle time. Its own commands are left out of
"commands". Memory, persistence and replication are read once a second, and stand in
the text where they are not as usual: keys evicted, memory at 90% of maxmemory or
more, a failed RDB save or AOF write, a role in replication that has changed.

Two signals compare: command-throughput and lock-key-count. They say nothing before
there is a steady baseline, which is the first stretch of --baseline in which their
level is steady: traffic that begins late or ramps up is waited for. So begin before
the incident. The others need none. Signals that need the workers' own view are not
available here and say so. A --set with which a signal could never fire, or would
always, is refused; "lockjam list signals --json" has the ranges.

` + addressHelp + `

MONITOR shows Redis's whole traffic and costs it throughput: it is listened to
only with --monitor, for a fifth of a second once a second, over a second
connection. With --canary a raw socket dials five times a second and reads what
the server tells it; while there is room, it takes a slot for 30 ms.

A server that has not answered for 2 s says nothing of now: the signals that read
it are unavailable until it does, which is neither firing nor silence. So is one
whose reading is refused. When the connection is lost, lockjam tries to open another
one once a second, and says why it could not. What was not known for 2 s or more is
listed at the end.

Exit code 0: no signal fired. 1: one did. 2: none did, but for 2 s or more it was not
known whether one should; or none could say anything. 69: no connection at the
start (within 10 s), or none at the end. Ctrl-C ends the watch as --for does.

With --json every line is an object: "event" is "sighting" once a second, and
"watched" at the end, with the same fields. A figure that could not be read is
null. A signal that is "unavailable" says why, and its "firing" is null: "fired_at_ms"
is not null if it fired before, and "baseline" is what it is compared with.
"unanswered_ms" is over 0 once the server has not answered for 2 s. "unknown_ms" is
for how long its counters were not known so far, and a signal's "unknown_ms" what it
reads; "watched" lists those gaps as "unknown", a signal's only where they are
others. "lock_keys" with "lock_keys_partial" are those found so far: there may be
more.`

type watchFlags struct {
	length, baseline time.Duration
	locks            string
	monitor, canary  bool
	json             bool
	params           []string
}

// A baseline of less than a few samples cannot be seen to be steady, and as many are
// kept as the longest has.
const (
	minBaseline   = 500 * time.Millisecond
	usualBaseline = 5 * time.Second
	maxBaseline   = 10 * time.Minute
)

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
	flags.DurationVar(&f.baseline, "baseline", usualBaseline,
		"compare with the first steady `TIME`; by default no more than half of --for")
	flags.StringVar(&f.locks, "locks", "lock:", "`PREFIX` of the keys that are locks")
	flags.BoolVar(&f.monitor, "monitor", false, "listen to MONITOR as well")
	flags.BoolVar(&f.canary, "canary", false, "dial as a client would, and read what it is told")
	flags.BoolVar(&f.json, "json", false, "print one JSON object a line")
	flags.StringSliceVar(&f.params, "set", nil, "set a signal's parameter: `SIGNAL.NAME=VALUE`; may be repeated")
	complete(cmd, "set", signalParams)
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
	said := observe.Reasons{}
	o.Observe = func(s observe.Reading) {
		if !f.json {
			if why := said.Explain(s); why != "" {
				broken = errors.Join(broken, put(out, []byte(text.Printable(why))))
			}
		}
		broken = errors.Join(broken, f.print(out, "sighting", s))
		if broken != nil {
			cancel() // no reader is left
		}
	}
	last, err := observe.Run(ctx, o)
	if broken != nil {
		return broken
	}
	if last.Signals == nil {
		return err
	}
	return errors.Join(err, f.finish(out, last, err != nil))
}

// finish says what fired. Its error is the exit code, unless something else is
// wrong already.
func (f *watchFlags) finish(out io.Writer, last observe.Reading, wrong bool) error {
	fired := last.Fired()
	if f.json {
		if err := f.print(out, "watched", last); err != nil {
			return err
		}
	} else if err := put(out, []byte(text.Printable(observe.FiredTable(last)))); err != nil {
		return err
	}
	if len(fired) > 0 {
		return outcomeError(result.Fail)
	}
	if wrong {
		return nil
	}
	if last.UnansweredMS > 0 {
		return errors.Join(outcomeError(result.Inconclusive),
			fmt.Errorf("the server did not answer in the last %.0f s: nothing can be said of them",
				last.UnansweredMS/1000))
	}
	if why := observe.UnknownIn(last); why != "" {
		return errors.Join(outcomeError(result.Inconclusive), errors.New("no signal fired, but "+why))
	}
	if !slices.ContainsFunc(last.Signals, func(s observe.SignalReading) bool { return s.Unavailable == "" }) {
		return errors.Join(outcomeError(result.Inconclusive),
			errors.New("no signal could say anything: what each lacks stands above"))
	}
	return nil
}

func (f *watchFlags) options(cmd *cobra.Command, url string) (observe.Options, error) {
	endpoint, err := server.ParseURL(url)
	if err != nil {
		return observe.Options{}, err
	}
	if f.length > 0 && !cmd.Flags().Changed("baseline") {
		f.baseline = max(min(f.baseline, f.length/2), minBaseline)
	}
	o := observe.Options{
		Endpoint: endpoint, For: f.length, Baseline: f.baseline, LockPrefix: f.locks, Monitor: f.monitor,
		Canary: f.canary,
		Params: map[string]map[string]float64{},
	}
	switch {
	case f.length < 0:
		return o, badUsage(cmd, "%s: %v is no length of time to watch for", origin(cmd, "for"), f.length)
	case f.baseline < minBaseline || f.baseline > maxBaseline:
		return o, badUsage(cmd, "%s: %v is not between %v and %v",
			origin(cmd, "baseline"), f.baseline, minBaseline, maxBaseline)
	case f.length > 0 && f.length <= f.baseline && cmd.Flags().Changed("baseline"):
		return o, badUsage(cmd, "%s: a watch of %v is over before its baseline of %v (%s) is complete, "+
			"and has nothing to compare: watch for longer, or ask for a shorter baseline", origin(cmd, "for"), f.length,
			f.baseline, origin(cmd, "baseline"))
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
	if wrong := pointless(o); len(wrong) > 0 {
		return o, badUsage(cmd, "%s: %s", origin(cmd, "set"), strings.Join(wrong, "; "))
	}
	return o, nil
}

// pointless says which parameters make a signal that could never fire, or would always.
func pointless(o observe.Options) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(o.Params)) {
		wrong := signals.CheckParams(name, o.Params[name], o.Setting())
		for _, param := range slices.Sorted(maps.Keys(wrong)) {
			all = append(all, fmt.Sprintf("%s.%s: %v", name, param, wrong[param]))
		}
	}
	return all
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
func (f *watchFlags) print(out io.Writer, event string, s observe.Reading) error {
	if !f.json {
		return put(out, []byte(text.Printable(observe.SecondLine(s))+"\n"))
	}
	line, err := json.Marshal(struct {
		Event string `json:"event"`
		observe.Reading
	}{event, s})
	if err != nil {
		return fmt.Errorf("%w: %w", result.ErrInternal, err)
	}
	return put(out, append(line, '\n'))
}
