// Package rules is a catalogue of alerts: the runbook's thresholds as it words them,
// and what the measurements support in their place, over the metrics of
// redis_exporter.
package rules

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lockjam/lockjam/harness/claims"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Severity says what an alert is worth getting up for.
type Severity string

const (
	Critical Severity = "critical" // needs a look at once
	Warning  Severity = "warning"  // needs a look
	Info     Severity = "info"     // it is there to be compared with the others
)

// Rule is one alert. Expr and For may say $short and $long, windows that are made
// from how often Prometheus scrapes.
type Rule struct {
	Name     string   // as alerts are called, in CamelCase
	Claim    string   // of the runbook that it stands for; "" for none
	Metric   string   // the claim that names what it reads, if another does
	Severity Severity // of the alert; a line of the runbook's is info
	Expr     string   // in PromQL
	For      string   // how long it must hold; "" fires at once
	Summary  string   // one line; Prometheus fills in what stands in {{ }}
	Why      string   // what it means and where it is silent

	// Signal is lockjam's own reading of the same figures, by whose measurements the
	// rule is judged; "" where an exporter alone shows it.
	Signal string
	// Fires and Silent are scenarios in which the signal did in the recorded run of the
	// catalogue, of those that bear on the claim. A test compares them with it.
	Fires, Silent []string
	// Verdict on the claim, in that run.
	Verdict string
}

// Group is a number of rules that are evaluated together.
type Group struct {
	Name  string
	Rules []Rule
}

// Groups lists all rules: the runbook's first, in its order, then the corrected ones.
func Groups() []Group {
	return []Group{{"runbook", runbook}, {"lockjam", corrected}}
}

// Bounds of the time between two scrapes, both ends included. Prometheus keeps a
// figure for five minutes, and a missed scrape must not use that up.
const (
	MinInterval     = 100 * time.Millisecond
	DefaultInterval = 15 * time.Second
	MaxInterval     = 2 * time.Minute
)

// Windows in scrapes: a rate needs two samples, and four leave room for one that was
// missed; the long one is five times the short.
const (
	shortScrapes = 4
	longScrapes  = 20
)

//go:generate go test . -run TestRecordedRulesAreUpToDate -update

// The file as Prometheus reads it.
type (
	yamlFile struct {
		Groups []yamlGroup `yaml:"groups"`
	}
	yamlGroup struct {
		Name     string     `yaml:"name"`
		Interval string     `yaml:"interval"`
		Rules    []yamlRule `yaml:"rules"`
	}
	yamlRule struct {
		Alert       string          `yaml:"alert"`
		Expr        string          `yaml:"expr"`
		For         string          `yaml:"for,omitempty"`
		Labels      yamlLabels      `yaml:"labels"`
		Annotations yamlAnnotations `yaml:"annotations"`
	}
	yamlLabels struct {
		Severity Severity `yaml:"severity"`
		Claim    string   `yaml:"claim,omitempty"`
	}
	yamlAnnotations struct {
		Summary     string `yaml:"summary"`
		Description string `yaml:"description"`
		Measured    string `yaml:"measured,omitempty"`
		Instead     string `yaml:"instead,omitempty"`
	}
)

// Write writes all rules as a rule file of Prometheus, for one that scrapes and
// evaluates every so often. The same interval gives the same text.
func Write(w io.Writer, interval time.Duration) error {
	if interval < MinInterval || interval > MaxInterval {
		return fmt.Errorf("%v is not between %v and %v", interval, MinInterval, MaxInterval)
	}
	words := strings.NewReplacer("$short", promDuration(shortScrapes*interval), "$long",
		promDuration(longScrapes*interval))
	var file yamlFile
	for _, g := range Groups() {
		group := yamlGroup{Name: g.Name, Interval: promDuration(interval)}
		for _, r := range g.Rules {
			group.Rules = append(group.Rules, r.yaml(words))
		}
		file.Groups = append(file.Groups, group)
	}
	text, err := yaml.MarshalWithOptions(file, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("%w: rules: %w", result.ErrInternal, err)
	}
	var b bytes.Buffer
	b.WriteString(words.Replace(head))
	b.Write(text)
	_, err = w.Write(b.Bytes())
	return err
}

func (r Rule) yaml(words *strings.Replacer) yamlRule {
	return yamlRule{
		Alert: r.Name, Expr: words.Replace(r.Expr), For: words.Replace(r.For),
		Labels: yamlLabels{Severity: r.Severity, Claim: r.Claim},
		Annotations: yamlAnnotations{
			Summary: words.Replace(r.Summary), Description: words.Replace(r.Why),
			Measured: r.measured(), Instead: r.instead(),
		},
	}
}

// measured says what the recorded run shows of a rule that stands for a claim.
func (r Rule) measured() string {
	if r.Verdict == "" {
		return ""
	}
	said := fmt.Sprintf("%s (%q) is %s.", r.Claim, claims.WordsOf(r.Claim), r.Verdict)
	if r.Metric != "" {
		said += fmt.Sprintf(" So is its metric, %s (%q).", r.Metric, claims.WordsOf(r.Metric))
	}
	if len(r.Fires) > 0 {
		said += " Read over a connection that was open before, it fires in " + text.List(r.Fires) + "."
	}
	if len(r.Silent) > 0 {
		said += " It stays silent in " + text.List(r.Silent) + "."
	}
	return said
}

// instead is the scorecard's advice on what the rule stands for.
func (r Rule) instead() string {
	if r.Verdict == "" || r.Verdict == result.Confirmed {
		return ""
	}
	return claims.InsteadOf(r.Claim)
}

// promDuration writes a time as PromQL wants it: whole units, largest first.
func promDuration(d time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}
