package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/triggers"
	"github.com/lockjam/lockjam/scenarios"
)

const showHelp = `Show a scenario as a page: the mechanism, its standard name and a report of it,
why these numbers bring it about every time, what to take away; and what is
expected of every signal and remedy in it. SCENARIO is a name from "lockjam list
scenarios" or a file.

With --source the file itself is printed. With --schema it is the JSON Schema of
scenario files, for editors, and no SCENARIO is named.`

func newShow() *cobra.Command {
	var source, schema bool
	cmd := &cobra.Command{
		Use:   "show SCENARIO",
		Short: "Show what a scenario does and expects",
		Long:  showHelp,
		Example: `  lockjam show slot-lock-deadlock
  lockjam show ./mine.yaml
  lockjam show --schema > scenario.schema.json`,
		Args:              cobra.ArbitraryArgs, // how many depends on the flags
		ValidArgsFunction: completeScenarios,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case schema && len(args) > 0 && cmd.Flags().Changed("schema"): // a name wins over LOCKJAM_SCHEMA
				return badUsage(cmd, "--schema is the same for every scenario: leave out %q, or --schema", args[0])
			case schema && len(args) == 0:
				return put(cmd.OutOrStdout(), scenarios.Schema)
			}
			if err := exactly(1, "SCENARIO")(cmd, args); err != nil {
				return err
			}
			sc, err := loadScenario(args[0])
			if err != nil {
				return err
			}
			if source {
				return put(cmd.OutOrStdout(), sc.Source)
			}
			return put(cmd.OutOrStdout(), []byte(text.Printable(page(sc))))
		},
	}
	cmd.Flags().BoolVar(&source, "source", false, "print the YAML itself")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of scenario files")
	return cmd
}

func page(sc *scenario.Scenario) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s (%s)\n", sc.Title, sc.Name, sc.Path)
	if lines := text.Wrap(sc.Summary, text.PageWidth); len(lines) > 0 {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(lines, "\n"))
	}
	for _, note := range sc.Notes() {
		section(&b, note)
	}
	fmt.Fprintln(&b)
	facts(&b, sc)
	expectedSignals(&b, sc)
	arms(&b, sc)
	return b.String()
}

// section prints a part of the file's head comment, line by line as it stands there:
// drawings are made of lines.
func section(b *bytes.Buffer, note scenario.Note) {
	fmt.Fprintln(b)
	indent := ""
	if note.Heading != "" {
		fmt.Fprintln(b, note.Heading)
		indent = "  "
	}
	for line := range strings.Lines(note.Text) {
		fmt.Fprintln(b, strings.TrimRight(indent+line, " \n"))
	}
}

func facts(b *bytes.Buffer, sc *scenario.Scenario) {
	s := sc.Swarm
	fmt.Fprintf(b, "Server   maxclients %d, lockjam's own %d connections included\n", sc.Server.MaxClients,
		server.ControlConnections)
	if len(sc.Server.Config) > 0 {
		fmt.Fprintf(b, "         %s\n", settings(sc.Server.Config))
	}
	fmt.Fprintf(b, "Swarm    %s with %s and %s each\n", text.Plural(s.Instances, "instance"),
		text.Plural(s.WorkersPerInstance, "worker"), text.Plural(s.ClientsPerInstance, "client"))
	fmt.Fprintf(b, "         waiter %s, holder %s\n", s.Waiter, s.Holder)
	fmt.Fprintf(b, "Locks    %d, %s, held for %v, tried every %v, backoff %s\n",
		s.Lock.Tenants, orNot(s.Lock.TTLMS, "no TTL", "TTL %v"), s.Lock.HoldMS.Duration(), s.Lock.PollMS.Duration(),
		s.Lock.Backoff)
	fmt.Fprintf(b, "Trigger  %s\nPhases   %s\n", triggerWords(sc), phaseWords(sc.Phases))
}

func expectedSignals(b *bytes.Buffer, sc *scenario.Scenario) {
	fmt.Fprintln(b)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SIGNAL\tCLAIM\tEXPECTED\tWITHIN")
	for _, s := range signals.All() {
		want, named := sc.Signals[s.Name]
		if !named || want.Expect == "" {
			want.Expect = scenario.Any
		}
		within := orNot(want.WithinMS, "-", "%v")
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Name, text.Dash(s.Claim), want.Expect, within)
	}
	_ = t.Flush()
}

func arms(b *bytes.Buffer, sc *scenario.Scenario) {
	fmt.Fprintf(b, "\n%s, each on a fresh server:\n", text.Plural(len(sc.Arms), "arm"))
	for _, a := range sc.Arms {
		remedy := a.Remedy
		if remedy == "" {
			remedy = "none"
		}
		if len(a.Params) > 0 {
			remedy += " (" + settings(a.Params) + ")"
		}
		kind, what := "remedy  ", remedy
		if a.Prevention != "" {
			kind, what = "prevents", a.Prevention
			if a.Claim != "" {
				what += " (" + a.Claim + ")"
			}
		}
		name := a.Name
		if a.Extended {
			name += ", not in the runbook suite"
		}
		fmt.Fprintf(b, "\n  %s\n    %s  %s\n", name, kind, what)
		for _, own := range ownSettings(sc, a) {
			for i, line := range text.Wrap(own.is, text.PageWidth-14) {
				if i > 0 {
					own.what = ""
				}
				fmt.Fprintf(b, "    %-8s  %s\n", own.what, line)
			}
		}
		fmt.Fprintf(b, "    expected  %s\n", expectation(a.Expect))
		for _, line := range text.Wrap(a.Why, text.PageWidth-4) {
			fmt.Fprintf(b, "    %s\n", line)
		}
	}
}

// own is a part of the scenario that is another one in an arm.
type own struct{ what, is string }

func ownSettings(sc *scenario.Scenario, a scenario.Arm) []own {
	var all []own
	under := sc.For(a)
	if a.Trigger != nil {
		all = append(all, own{"trigger", triggerWords(under)})
	}
	if a.Phases != nil {
		all = append(all, own{"phases", phaseWords(under.Phases)})
	}
	var expected []string
	for _, name := range slices.Sorted(maps.Keys(a.Signals)) {
		expected = append(expected, fmt.Sprintf("%s %s", name, cmp.Or(a.Signals[name].Expect, scenario.Any)))
	}
	if len(expected) > 0 {
		all = append(all, own{"signals", strings.Join(expected, ", ")})
	}
	return all
}

// triggerWords says what starts the incident.
func triggerWords(sc *scenario.Scenario) string {
	kind := sc.Trigger.Kind
	if t, ok := triggers.Find(kind); ok && kind != triggers.None {
		return kind + ": " + t.Say(sc.Trigger, sc.Swarm)
	}
	return kind
}

func phaseWords(p scenario.Phases) string {
	return fmt.Sprintf("baseline %v, incident %v, recovery %s", p.BaselineMS.Duration(), p.IncidentMS.Duration(),
		orNot(p.RecoveryMS, "none", "%v"))
}

func expectation(e scenario.ArmExpect) string {
	var all []string
	if e.Verdict != "" {
		all = append(all, e.Verdict)
	}
	if e.Unsafe != nil {
		all = append(all, map[bool]string{true: "unsafe", false: "safe"}[*e.Unsafe])
	}
	return text.Dash(strings.Join(all, ", "))
}

// orNot words a duration of which 0 means that there is none.
func orNot(m swarm.Millis, none, format string) string {
	if m == 0 {
		return none
	}
	return fmt.Sprintf(format, m.Duration())
}
