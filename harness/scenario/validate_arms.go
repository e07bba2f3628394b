package scenario

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lockjam/lockjam/harness/text"
)

func remedied(a Arm) bool { return a.Remedy != "" && a.Remedy != noRemedy }

func checkArms(c *checker, s *Scenario) {
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
		checkRemedy(c, key, a)
		checkPrevention(c, key, a)
		checkChanges(c, key, s, a)
		checkOneNode(c, key, s, a)
	}
	for i := range s.Arms {
		checkAgainst(c, fmt.Sprintf("arms[%d]", i), &s.Arms[i], first)
	}
	if _, controlled := first[ControlArm]; !controlled && slices.ContainsFunc(s.Arms, remedied) {
		checkUncontrolled(c, s)
	}
}

// checkUncontrolled complains that there is no control arm. What is wrong with other settings
// of the arms does not change that; a name that could not be read may.
func checkUncontrolled(c *checker, s *Scenario) {
	keys := on("arms")
	for i := range s.Arms {
		if slices.ContainsFunc(c.bad, func(bad string) bool { return under(fmt.Sprintf("arms[%d].name", i), bad) }) {
			return
		}
	}
	c.failed[keys[0]] = true
	c.complain(c.place(keys[0]), "arms: no arm is called %s: without it no remedy can earn credit", ControlArm)
}

// checkAgainst refuses comparisons with arms that are not there, or compare nothing.
func checkAgainst(c *checker, key string, a *Arm, arms map[string]int) {
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

// checkPrevention checks what is in force in one arm from the start. An arm either
// prevents or remedies: an arm that does both shows neither.
func checkPrevention(c *checker, key string, a *Arm) {
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

// checkChanges checks the scenario as the arm runs it, as far as the arm changes it.
func checkChanges(c *checker, key string, s *Scenario, a *Arm) {
	under := s.For(*a)
	if a.Remedy == RolloutRemedy && a.Swarm != nil {
		under.Swarm = *a.Swarm
	}
	of := &checker{decoder: c.decoder, vocabulary: c.vocabulary, failed: map[string]bool{}, arm: key + "."}
	if a.Server != nil {
		checkServer(of, under)
	}
	if a.Swarm != nil {
		checkSwarm(of, under)
		checkClient(of, under)
		checkLock(of, under)
		checkArrivals(of, under)
	}
	if a.Swarm != nil || a.Trigger != nil {
		checkTrigger(of, under)
		checkTopology(of, under)
	}
	if a.Phases != nil {
		checkPhases(of, under)
	}
	checkSignals(of, under)
	for name, signal := range a.Signals {
		if signal.Expect == "" {
			of.fail(on(join("signals", name)), "say what is to be expected")
		}
	}
}

// checkRemedy checks what is done in one arm, and the verdict that is expected of it.
func checkRemedy(c *checker, key string, a *Arm) {
	checkVerdict(c, key, a)
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

// checkVerdict checks the verdict that is expected of an arm.
func checkVerdict(c *checker, key string, a *Arm) {
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
