package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/harness/triggers"
	"github.com/lockjam/lockjam/scenarios"
)

// catalogues are what list lists, in the order of the help.
var catalogues = []struct {
	name  string
	items func() (list, error)
}{
	{"scenarios", listScenarios},
	{"signals", listSignals},
	{"remedies", listRemedies},
	{"triggers", listTriggers},
}

// list is a catalogue as a table, and as values for JSON.
type list struct {
	header []string
	rows   [][]string
	values []any
}

func newList() *cobra.Command {
	var names []string
	for _, c := range catalogues {
		names = append(names, c.name)
	}
	var asJSON bool
	cmd := &cobra.Command{
		Use:       "list scenarios|signals|remedies|triggers",
		Short:     "List a catalogue",
		ValidArgs: names,
		Args:      exactly(1, strings.Join(names, "|")),
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.Index(names, args[0])
			if i < 0 {
				return badUsage(cmd, "no catalogue is called %q; there are: %s", args[0], strings.Join(names, ", "))
			}
			l, err := catalogues[i].items()
			if err != nil {
				return err
			}
			text, err := l.text(asJSON)
			if err != nil {
				return err
			}
			return put(cmd.OutOrStdout(), text)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "an array of objects instead of a table")
	return cmd
}

func (l list) text(asJSON bool) ([]byte, error) {
	if asJSON {
		text, err := json.MarshalIndent(l.values, "", "  ")
		return append(text, '\n'), err
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{l.header}, l.rows...) {
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	err := t.Flush()
	return b.Bytes(), err
}

func (l *list) add(value any, row ...string) {
	l.rows = append(l.rows, row)
	l.values = append(l.values, value)
}

func listScenarios() (list, error) {
	type entry struct {
		Name    string   `json:"name"`
		Title   string   `json:"title"`
		Summary string   `json:"summary"`
		Runbook bool     `json:"runbook"` // part of the suite that run runs without names
		Arms    []string `json:"arms"`
	}
	l := list{header: []string{"NAME", "ARMS", "TITLE"}}
	for _, name := range scenarios.Names {
		sc, err := scenario.Embedded(name)
		if err != nil {
			return l, err
		}
		e := entry{Name: name, Title: sc.Title, Summary: sc.Summary, Runbook: slices.Contains(scenarios.Runbook, name)}
		for _, a := range sc.Arms {
			e.Arms = append(e.Arms, a.Name)
		}
		l.add(e, name, fmt.Sprint(len(e.Arms)), sc.Title)
	}
	return l, nil
}

func listSignals() (list, error) {
	type entry struct {
		Name    string             `json:"name"`
		Claim   string             `json:"claim,omitempty"`
		Summary string             `json:"summary"`
		Params  map[string]float64 `json:"params"`
		Ranges  map[string]string  `json:"ranges"` // of the parameters, in words
	}
	l := list{header: []string{"NAME", "CLAIM", "FIRES WHEN"}}
	for _, s := range signals.All() {
		ranges := map[string]string{}
		for name, r := range s.Ranges {
			ranges[name] = r.String()
		}
		l.add(entry{s.Name, s.Claim, s.Summary, s.Params, ranges}, s.Name, text.Dash(s.Claim), s.Summary+
			parameters(s.Params))
	}
	return l, nil
}

func parameters(params signals.Params) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		all = append(all, fmt.Sprintf("%s %g", name, params[name]))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

func listRemedies() (list, error) {
	type entry struct {
		Name    string            `json:"name"`
		Claim   string            `json:"claim,omitempty"`
		Summary string            `json:"summary"`
		Params  map[string]string `json:"params"`
	}
	l := list{header: []string{"NAME", "CLAIM", "WHAT IT DOES"}}
	for _, r := range remedies.All() {
		params := r.Complete(nil)
		does := r.Summary
		if len(params) > 0 {
			does += " (" + settings(params) + ")"
		}
		l.add(entry{r.Name, r.Claim, r.Summary, params}, r.Name, text.Dash(r.Claim), does)
	}
	return l, nil
}

func listTriggers() (list, error) {
	type entry struct {
		Name     string   `json:"name"`
		Summary  string   `json:"summary"`
		Settings []string `json:"settings"` // beside kind
	}
	l := list{header: []string{"NAME", "SETTINGS", "WHAT IT DOES"}}
	for _, t := range triggers.All() {
		l.add(entry{t.Name, t.Summary, append([]string{}, t.Uses...)}, t.Name, text.Dash(strings.Join(t.Uses, ", ")),
			t.Summary)
	}
	return l, nil
}

// settings is a configuration or a remedy's parameters on one line.
func settings(m map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for line := range strings.SplitSeq(m[name], "\n") { // a directive that redis.conf has several times
			all = append(all, name+" "+line)
		}
	}
	return strings.Join(all, ", ")
}
