package scenario

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lockjam/lockjam/harness/text"
)

func remedied(a Arm) bool { return a.Remedy != "" && a.Remedy != noRemedy }

func (c *checker) arms(s *Scenario) {
	if len(s.Arms) == 0 {
		c.fail(on("arms"), "missing: want at least a %s arm", ControlArm)
		return
	}
	first := map[string]int{}
	for i := range s.Arms {
		a, key := &s.Arms[i], fmt.Sprintf("arms[%d]", i)
		if a.Remedy == "" {
			a.Remedy = noRemedy
		}
		c.name(key+".name", a.Name)
		if before, twice := first[a.Name]; twice && a.Name != "" {
			c.fail(on(key+".name"), "%s: arms[%d] has this name already", quote(a.Name), before)
		} else {
			first[a.Name] = i
		}
		c.remedy(key, a)
		c.prevention(key, a)
		c.changes(key, s, a)
		c.oneNode(key, s, a)
	}
	for i := range s.Arms {
		c.against(fmt.Sprintf("arms[%d]", i), &s.Arms[i], first)
	}
	if _, controlled := first[ControlArm]; !controlled && slices.ContainsFunc(s.Arms, remedied) {
		c.uncontrolled(s)
	}
}

// uncontrolled complains that there is no control arm. What is wrong with other settings
// of the arms does not change that; a name that could not be read may.
func (c *checker) uncontrolled(s *Scenario) {
	keys := on("arms")
	for i := range s.Arms {
		if slices.ContainsFunc(c.bad, func(bad string) bool { return under(fmt.Sprintf("arms[%d].name", i), bad) }) {
			return
		}
	}
	c.failed[keys[0]] = true
	c.complain(c.place(keys[0]), "arms: no arm is called %s: without it no remedy can earn credit", ControlArm)
}

// against refuses comparisons with arms that are not there, or compare nothing.
func (c *checker) against(key string, a *Arm, arms map[string]int) {
	for i, name := range a.Against {
		at := fmt.Sprintf("%s.against[%d]", key, i)
		switch _, there := arms[name]; {
		case !there:
			c.fail(on(at), "no arm is called %s; %s", quote(name), hint(name, slices.Sorted(maps.Keys(arms))))
		case name == a.Name:
			c.fail(on(at), "%s: an arm is not compared with itself", quote(name))
		case name == ControlArm:
			c.fail(on(at), "%s: every arm is compared with it", quote(name))
		case slices.Contains(a.Against[:i], name):
			c.fail(on(at), "%s is named twice", quote(name))
		}
	}
}

// prevention checks what is in force in one arm from the start. An arm either
// prevents or remedies: an arm that does both shows neither.
func (c *checker) prevention(key string, a *Arm) {
	changed := a.Swarm != nil || a.Server != nil || a.Trigger != nil || a.Phases != nil || len(a.Signals) > 0
	switch {
	case a.Prevention != "" && len(a.Signals) > 0:
		c.fail(on(key+".signals", key+".prevention"),
			"where a failure is kept from happening, nothing is expected of signals")
	case a.Prevention != "" && remedied(*a):
		c.fail(on(key+".prevention", key+".remedy"), "%s: an arm has a remedy or a prevention, not both",
			quote(a.Prevention))
	case a.Prevention != "" && a.Swarm == nil && a.Server == nil && a.Trigger == nil:
		c.fail(on(key+".prevention"), "%s: say in swarm, server or trigger what it is", quote(a.Prevention))
	case a.Prevention != "" && a.Name == ControlArm:
		c.fail(on(key+".prevention", key+".name"), "%s: the %s shows what happens without one", quote(a.Prevention),
			ControlArm)
	case a.Prevention != "":
		c.name(key+".prevention", a.Prevention)
	case a.Name == ControlArm && changed:
		c.fail(on(key+".name"), "the %s runs the scenario as it is: put what it changes into the scenario", ControlArm)
	}
	if a.Claim != "" && !slices.Contains(c.vocabulary.claims, a.Claim) {
		c.fail(on(key+".claim"), "the runbook has no claim %s; %s", quote(a.Claim), hint(a.Claim, c.vocabulary.claims))
	}
}

// changes checks the scenario as the arm runs it, as far as the arm changes it.
func (c *checker) changes(key string, s *Scenario, a *Arm) {
	under := s.For(*a)
	if a.Remedy == RolloutRemedy && a.Swarm != nil {
		under.Swarm = *a.Swarm
	}
	of := &checker{decoder: c.decoder, vocabulary: c.vocabulary, failed: map[string]bool{}, arm: key + "."}
	if a.Server != nil {
		of.server(under)
	}
	if a.Swarm != nil {
		of.swarm(under)
		of.client(under)
		of.lock(under)
		of.arrivals(under)
	}
	if a.Swarm != nil || a.Trigger != nil {
		of.trigger(under)
		of.topology(under)
	}
	if a.Phases != nil {
		of.phases(under)
	}
	of.signals(under)
	for name, signal := range a.Signals {
		if signal.Expect == "" {
			of.fail(on(join("signals", name)), "say what is to be expected")
		}
	}
}

// remedy checks what is done in one arm, and the verdict that is expected of it.
func (c *checker) remedy(key string, a *Arm) {
	c.verdict(key, a)
	params, ok := c.vocabulary.remedies[a.Remedy]
	switch {
	case !ok && remedied(*a):
		c.fail(on(key+".remedy"), "unknown remedy %s; %s", quote(a.Remedy),
			hint(a.Remedy, slices.Sorted(maps.Keys(c.vocabulary.remedies))))
		return // the parameters of an unknown remedy are not known
	case a.Name == ControlArm && remedied(*a):
		c.fail(on(key+".remedy", key+".name"), "%s: want none, for the %s shows what happens without a remedy",
			quote(a.Remedy), ControlArm)
	}
	for param, value := range a.Params {
		c.param(key, param, params)
		if c.vocabulary.checkParam == nil || !slices.Contains(params, param) {
			continue
		}
		if err := c.vocabulary.checkParam(a.Remedy, param, value); err != nil {
			c.fail(on(join(key+".params", param)), "%v", err)
		}
	}
}

// verdict checks the verdict that is expected of an arm.
func (c *checker) verdict(key string, a *Arm) {
	verdicts, others, mistaken := c.vocabulary.verdicts, c.vocabulary.preventions,
		"of a remedy: it is one of preventions"
	if a.Prevention != "" {
		verdicts, others, mistaken = c.vocabulary.preventions, c.vocabulary.verdicts,
			"of a prevention: it is one of remedies"
	}
	switch v := a.Expect.Verdict; {
	case v == "" || slices.Contains(verdicts, v):
	case slices.Contains(others, v):
		c.fail(on(key+".expect.verdict"), "unknown verdict %s %s; known: %s", quote(v), mistaken,
			text.FirstOf(verdicts, ", ", listedWords))
	default:
		c.fail(on(key+".expect.verdict"), "unknown verdict %s; %s", quote(v), hint(v, verdicts))
	}
}
