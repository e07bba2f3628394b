package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
)

// Rule names a kind of regression.
type Rule string

// The rules, in the order in which they are listed.
const (
	Verdict   Rule = "verdict"
	Outcome   Rule = "outcome"
	Unsafe    Rule = "unsafe"
	Signal    Rule = "signal"
	Claim     Rule = "claim"
	Missing   Rule = "missing"
	Goodput   Rule = "goodput"
	Recovery  Rule = "recovery"
	Latency   Rule = "latency"
	Detection Rule = "detection"
	Faults    Rule = "faults"

	Any  Rule = "any"  // all of them
	None Rule = "none" // not one of them
)

// RuleInfo says what a rule stands for.
type RuleInfo struct {
	Rule    Rule
	Means   string // what is a regression
	Figures bool   // it weighs figures against noise, and needs repeats for that
}

// Rules lists what can be a regression.
func Rules() []RuleInfo {
	return []RuleInfo{
		{Verdict, "a verdict became worse: cured, partial, relapsed, no-effect, blocked; prevented, mitigated, not-prevented", false},
		{Outcome, "an arm that passed does not meet its scenario's expectations any more", false},
		{Unsafe, "safety is broken in an arm where it was not", false},
		{Signal, "a signal that is to fire stays silent, or one that is to be silent fires; either raises false alarms",
			false},
		{Claim, "the verdict on a claim of the runbook changed", false},
		{Missing, "an arm of the first run is not in the second", false},
		{Goodput, "goodput is lower: before, during or after the incident, or as a share of the baseline", true},
		{Recovery, "goodput is back later after the remedy", true},
		{Latency, "response times are longer: p50 or p99 of a phase", true},
		{Detection, "a signal takes longer to fire", true},
		{Faults, "there are more safety violations", true},
	}
}

// Default is what is gated unless something else is asked for: what one run each is
// enough for. Verdicts do not waver where nothing has changed; goodput and times do.
// The runbook's claims and the signals are left out: both follow from the scenarios'
// expectations, which outcome has. A missing arm is no pass: a comparison with a
// part of a run on purpose leaves missing out.
func Default() []Limit {
	return []Limit{{Rule: Verdict}, {Rule: Outcome}, {Rule: Unsafe}, {Rule: Missing}}
}

// Limit is a rule that was asked for.
type Limit struct {
	Rule Rule    `json:"rule"`
	Over float64 `json:"over"` // smaller differences of the median pass, as a share of the first run's
}

func (l Limit) String() string {
	if l.Over == 0 {
		return string(l.Rule)
	}
	return fmt.Sprintf("%s>%s%%", l.Rule, strconv.FormatFloat(100*l.Over, 'f', -1, 64))
}

// ParseRules reads rules as a command line has them: NAME, or NAME>N% for one that
// weighs figures; any for all of them, none for no rule. Rules with a + before their
// name are added to the default ones, rules without it replace these; a list has one
// kind alone. The error says what is wrong with the first that cannot be meant.
func ParseRules(words []string) ([]Limit, error) {
	added := 0
	bare := make([]string, len(words))
	for i, word := range words {
		plus := false
		if bare[i], plus = strings.CutPrefix(strings.TrimSpace(word), "+"); plus {
			added++
		}
	}
	switch added {
	case 0:
		return parseRules(bare, nil)
	case len(words):
		if slices.Contains(bare, string(None)) {
			return nil, fmt.Errorf("+none adds nothing: leave it out")
		}
		return parseRules(bare, Default())
	}
	return nil, fmt.Errorf("%q: a rule with + is added to the default, one without replaces it: write all of them one way", strings.Join(words, ","))
}

// parseRules adds rules to others.
func parseRules(words []string, limits []Limit) ([]Limit, error) {
	none := false
	for _, word := range words {
		name, over, bounded := strings.Cut(word, ">")
		limit := Limit{Rule: Rule(name)}
		if bounded {
			percent, err := strconv.ParseFloat(strings.TrimSuffix(over, "%"), 64)
			if err != nil || !strings.HasSuffix(over, "%") || !(percent >= 0 && percent <= 1000) {
				return nil, fmt.Errorf("%q: want %s>N%%, N from 0 to 1000", word, name)
			}
			limit.Over = percent / 100
		}
		known := slices.IndexFunc(Rules(), func(r RuleInfo) bool { return r.Rule == limit.Rule })
		switch {
		case known < 0 && limit.Rule != Any && limit.Rule != None:
			return nil, fmt.Errorf("no rule is called %q; there are: %s", name, strings.Join(ruleNames(), ", "))
		case bounded && (known < 0 || !Rules()[known].Figures):
			return nil, fmt.Errorf("%q: %s has no figures that a bound could be for", word, name)
		case limit.Rule == None:
			none = true
		case limit.Rule == Any:
			for _, r := range Rules() {
				limits = include(limits, Limit{Rule: r.Rule}, false)
			}
		default:
			limits = include(limits, limit, true)
		}
	}
	if !none && len(limits) == 0 {
		return nil, fmt.Errorf("no rule is named: none compares without one")
	}
	if none && len(limits) > 0 {
		return nil, fmt.Errorf("none stands alone: leave it out, or the others")
	}
	return limits, nil
}

// include adds a rule, each once. One that is named counts more than one that any has.
func include(limits []Limit, l Limit, named bool) []Limit {
	i := slices.IndexFunc(limits, func(have Limit) bool { return have.Rule == l.Rule })
	switch {
	case i < 0:
		return append(limits, l)
	case named:
		limits[i] = l
	}
	return limits
}

func ruleNames() []string {
	var names []string
	for _, r := range Rules() {
		names = append(names, string(r.Rule))
	}
	return append(names, string(Any), string(None))
}

// Judgement is what came of one rule.
type Judgement struct {
	Limit
	Outcome result.Outcome `json:"outcome"` // fail: it found a regression
	Because string         `json:"because"`
}

// judge holds the rules that were asked for against the rows, and says in a line what
// came of them. Where a rule found nothing, and something could not be told, it is
// inconclusive: what was not seen did not pass.
func (c *Comparison) judge(limits []Limit, blind int) {
	c.FailOn, c.Rules, c.Outcome = limits, []Judgement{}, result.Pass
	for _, l := range limits {
		j := Judgement{Limit: l, Outcome: result.Pass, Because: "nothing regressed"}
		fails, unclear := 0, 0
		why := ""
		for i := range c.Rows {
			r := &c.Rows[i]
			if r.Rule != l.Rule {
				continue
			}
			r.Fails = r.regression(l)
			switch {
			case r.Fails:
				fails++
			case r.open():
				unclear++
				why = r.Because
			case r.Finding == Worse && r.farApart != "": // for certain, by an amount that is not known
				unclear++
				why = fmt.Sprintf("%s, and too few repeats to tell whether that is over %s%%", r.farApart,
					strconv.FormatFloat(100*l.Over, 'f', -1, 64))
			}
		}
		switch {
		case fails > 0:
			j.Outcome, j.Because = result.Fail, fmt.Sprintf("%d worse", fails)
			if l.Rule == Claim {
				j.Because = fmt.Sprintf("%d changed", fails)
			}
		case unclear > 0:
			j.Outcome, j.Because = result.Inconclusive, fmt.Sprintf("%d not decided: %s", unclear, why)
		case blind > 0 && l.Rule != Claim && l.Rule != Missing:
			j.Outcome, j.Because = result.Inconclusive, fmt.Sprintf("nothing can be said of %s", count(blind, "arm"))
		}
		c.Rules = append(c.Rules, j)
		c.Outcome = worse(c.Outcome, j.Outcome)
	}
	c.NotGated = c.ungated(limits)
	c.conclude()
}

// Ungated is a rule that was not asked for, and how many rows would be regressions by it.
type Ungated struct {
	Rule    Rule   `json:"rule"`
	Worse   int    `json:"worse"`
	Because string `json:"because"`
}

// ungated lists the rules that were not asked for: what they would have found passed.
func (c *Comparison) ungated(limits []Limit) []Ungated {
	left := []Ungated{}
	for _, info := range Rules() {
		if slices.ContainsFunc(limits, func(l Limit) bool { return l.Rule == info.Rule }) {
			continue
		}
		u := Ungated{Rule: info.Rule}
		at := map[Place]bool{}
		for _, r := range c.Rows {
			if r.Rule == info.Rule && r.regression(Limit{Rule: info.Rule}) {
				u.Worse++
				at[r.Place] = true
			}
		}
		switch {
		case u.Worse == 0:
			u.Because = fmt.Sprintf("nothing worse (rule %s not asked for)", info.Rule)
		case info.Rule == Claim:
			u.Because = fmt.Sprintf("the verdict on %s changed (rule claim not asked for)", count(u.Worse, "claim"))
		default:
			u.Because = fmt.Sprintf("%s worse in %s (rule %s not asked for)", info.Rule, count(len(at), "arm"),
				info.Rule)
		}
		left = append(left, u)
	}
	return left
}

// Passed are sentences on what was not gated: each rule that was not asked for and would
// have found something, and the default ones that were left out and would not have.
func (c *Comparison) Passed() []string {
	var said, quiet []string
	for _, u := range c.NotGated {
		switch {
		case u.Worse > 0:
			said = append(said, u.Because)
		case slices.Contains(Default(), Limit{Rule: u.Rule}):
			quiet = append(quiet, string(u.Rule))
		}
	}
	if len(quiet) > 0 {
		said = append(said, fmt.Sprintf("%s, by which nothing is worse", strings.Join(quiet, ", ")))
	}
	return said
}

// conclude says the outcome in a line, and what was not gated where nothing that was
// gated failed.
func (c *Comparison) conclude() {
	c.answer()
	var left []string
	for _, u := range c.NotGated {
		if u.Worse > 0 {
			left = append(left, u.Because)
		}
	}
	if len(left) > 0 && c.Compared > 0 && c.Outcome != result.Fail {
		c.Answer += "; not gated: " + strings.Join(left, ", ")
	}
}

func (c *Comparison) answer() {
	var regressed, open, asked []string
	for _, j := range c.Rules {
		asked = append(asked, j.String())
		switch j.Outcome {
		case result.Fail:
			regressed = append(regressed, fmt.Sprintf("%s (%s)", j.Rule, j.Because))
		case result.Inconclusive:
			open = append(open, string(j.Rule))
		}
	}
	by := "by " + strings.Join(asked, ", ")
	switch {
	case c.Compared == 0:
		c.Outcome = result.Inconclusive
		c.Answer = "nothing can be compared: the runs have no arm in common"
	case len(regressed) > 0:
		c.Answer = "regression: " + strings.Join(regressed, ", ")
	case c.After.Status != result.Completed && len(asked) > 0:
		c.Outcome = result.Inconclusive
		c.Answer = "inconclusive: the second run was " + string(c.After.Status) + ", and nothing regressed until then"
	case len(open) > 0:
		c.Answer = "inconclusive: nothing regressed for sure, and " + strings.Join(open, ", ") + " is not decided"
	case len(asked) == 0:
		c.Answer = count(c.Compared, "arm") + " compared, and no rule was asked for"
	default:
		c.Answer = fmt.Sprintf("no regression in %s, %s", count(c.Compared, "arm"), by)
	}
}

// worse is the outcome of two together: a regression is one whatever else is open.
func worse(a, b result.Outcome) result.Outcome {
	for _, o := range []result.Outcome{result.Fail, result.Inconclusive} {
		if a == o || b == o {
			return o
		}
	}
	return result.Pass
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
