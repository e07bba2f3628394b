package scenario

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/triggers"
)

// MinWindowMS is the shortest stretch that goodput is judged over, in milliseconds:
// two of the judge's bins.
const MinWindowMS = 200

const (
	maxServerClients = 100_000
	maxWorkers       = 30_000
	maxTenants       = 10_000
	maxAdmitted      = 1_000_000_000 // requests per tenant and window
	maxQueue         = 1_000_000
	maxRate          = 1_000_000 // arrivals per second
	maxAttempts      = 1_000     // of go-redis, per command or dial
	maxRetries       = 100       // of a caller that has had no answer
	maxBufferBytes   = 1 << 20

	maxPhaseMS = 10 * 60 * 1000
	minPhaseMS = 200
	maxPauseMS = 60 * 60 * 1000 // anything that a worker or a client waits for
	maxTTLMS   = 24 * 60 * 60 * 1000

	// From busy-reply-threshold on, five seconds by default, the server answers BUSY.
	maxScriptMS = 1000

	// A worker that polls or dials again more often than this only spins.
	minPauseMS = 0.1

	// A trigger has ten seconds for all that it does.
	maxLagMS = 5000
)

const (
	noRemedy = "none"
)

var namePattern = regexp.MustCompile(NamePattern)

// NamePattern and MaxName, in bytes, are what CheckName goes by.
const (
	NamePattern = `^[a-z0-9]+(-[a-z0-9]+)*$`
	MaxName     = 64
)

// checker validates what the decoder has read. All of it is looked at, and
// what the decoder could not use is not complained about twice.
type checker struct {
	*decoder
	vocabulary vocabulary
	failed     map[string]bool // keys that were complained about
	arm        string          // "arms[2]." while what that arm changes is checked; "" for the scenario itself
}

// at is where a setting stands: in the arm, if the arm changes it.
func (c *checker) at(key string) string {
	if c.arm != "" && c.decoder.has(c.arm+key) {
		return c.arm + key
	}
	return key
}

func (c *checker) has(key string) bool { return c.decoder.has(c.at(key)) }

// scenario checks everything. It takes the name that the scenario must have;
// "" leaves it free.
func (c *checker) scenario(s *Scenario, name string) {
	checkHead(c, s, name)
	checkServer(c, s)
	checkSwarm(c, s)
	checkClient(c, s)
	checkLock(c, s)
	checkArrivals(c, s)
	checkTrigger(c, s)
	checkTopology(c, s)
	checkMeasures(c, s)
	checkPhases(c, s)
	checkWatch(c, s)
	checkClaims(c, s.Claims)
	checkSignals(c, s)
	checkArms(c, s)
}

// fail complains about the first of the keys. The others are what it was
// compared with: if one of them is no good, there is nothing to compare, and
// if the first is not in the file, the message points at the one that is.
func (c *checker) fail(keys []string, format string, args ...any) {
	if c.arm != "" {
		keys = slices.Clone(keys)
		for i, key := range keys {
			keys[i] = c.at(key)
		}
		// What the arm leaves as it is has been looked at.
		if !slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, c.arm) }) {
			return
		}
	}
	if slices.ContainsFunc(keys, func(key string) bool { return c.failed[key] || c.spoilt(key) }) {
		return
	}
	c.failed[keys[0]] = true
	at := keys[max(0, slices.IndexFunc(keys, c.decoder.has))]
	if i := slices.IndexFunc(keys,
		func(key string) bool { return c.arm != "" && strings.HasPrefix(key, c.arm) }); i >= 0 {
		at = keys[i]
	}
	c.complain(c.place(at), "%s: %s", keys[0], fmt.Sprintf(format, args...))
}

func on(keys ...string) []string { return keys }

// check checks the bounds of some fields, where they hold.
func (c *checker) check(s *Scenario, fields []Field) {
	for _, f := range fields {
		switch {
		case f.When != nil && !f.When(s):
		case f.Range != nil:
			c.inRange(f.Key, s.number(f.Key), *f.Range)
		case f.Words != nil:
			c.oneOf(f.Key, s.at(f.Key).String(), f.words())
		}
	}
}

// inRange refuses a number outside of its range.
func (c *checker) inRange(key string, value float64, r Range) {
	if value >= r.Low && value <= r.High || slices.Contains(r.Also, value) {
		return
	}
	why := ""
	if r.Below != "" && value < r.Low {
		why = " (" + r.Below + ")"
	}
	c.fail(on(key), "%s: want %s to %s%s", c.shown(key, value), figure(r.Low), figure(r.High), why)
}

// shown is a number for a message; one that is not in the file is missing.
func (c *checker) shown(key string, value float64) string {
	if !c.has(key) && value == 0 {
		return "missing"
	}
	return figure(value)
}

func figure(v float64) string {
	if math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// oneOf refuses a word that is none of the allowed ones.
func (c *checker) oneOf(key, value string, allowed []string) {
	if slices.Contains(allowed, value) {
		return
	}
	shown := quote(value)
	if !c.has(key) {
		shown = "missing"
	}
	c.fail(on(key), "%s: want %s", shown, either(allowed))
}

// words are the texts that a field takes.
func (f Field) words() []string {
	var all []string
	for _, w := range f.Words {
		all = append(all, w.Text)
	}
	return all
}

// either is "a, b or c".
func either(allowed []string) string {
	if len(allowed) < 2 {
		return strings.Join(allowed, "")
	}
	last := len(allowed) - 1
	return strings.Join(allowed[:last], ", ") + " or " + allowed[last]
}

// name refuses what is no name. Names become names of folders and containers.
func (c *checker) name(key, name string) {
	if !c.has(key) {
		c.fail(on(key), "missing")
	} else if err := CheckName(name); err != nil {
		c.fail(on(key), "%v", err)
	}
}

// CheckName says what is wrong with the name of a scenario or of an arm.
func CheckName(name string) error {
	if len(name) > MaxName || !namePattern.MatchString(name) {
		return fmt.Errorf("%s: want lower-case words joined by hyphens, at most %d letters", quote(name), MaxName)
	}
	return nil
}

// line refuses a text of several lines.
func (c *checker) line(key, text string) {
	if strings.Contains(text, "\n") {
		c.fail(on(key), "%s: want one line", quote(text))
	}
}

func checkHead(c *checker, s *Scenario, name string) {
	c.name("name", s.Name)
	if name != "" && s.Name != name {
		c.fail(on("name"), "%s: want %q, as the file is called", quote(s.Name), name)
	}
	switch title := strings.TrimSpace(s.Title); {
	case !c.has("title"):
		c.fail(on("title"), "missing")
	case title == "":
		c.fail(on("title"), "empty: want a line that says what happens")
	}
	c.line("title", s.Title)
}

func checkServer(c *checker, s *Scenario) {
	c.check(s, serverFields)
	checkDirectives(c, "server.config", s.Server.Config)
	checkDirectives(c, "server.config_if_known", s.Server.ConfigIfKnown)
}

// checkTrigger checks what every trigger's settings have in common, and asks the trigger
// itself for the rest.
func checkTrigger(c *checker, s *Scenario) {
	const kind, instances = "trigger.kind", "trigger.instances"
	c.oneOf(kind, s.Trigger.Kind, triggers.Names())
	t, ok := triggers.Find(s.Trigger.Kind)
	if !ok {
		return
	}
	has := c.has
	if c.arm != "" && c.decoder.has(c.arm+kind) { // what an arm's own kind has no use for it does without
		has = func(key string) bool { return c.decoder.has(c.arm + key) }
	}
	for _, name := range names(s.Trigger) {
		if key := join("trigger", name); name != "kind" && has(key) && !slices.Contains(t.Uses, name) {
			c.fail(on(key, kind), "the trigger %s has no %s", quote(t.Name), name)
		}
	}
	checkTriggerBounds(c, s, t, has)
	if slices.Contains(t.Uses, "instances") {
		checkWorkers(c, instances, s.Trigger.Instances, &s.Swarm)
	}
	if slices.Contains(t.Uses, "workers") {
		under := s.Swarm
		under.WorkersPerInstance = s.Trigger.Workers
		checkWorkers(c, "trigger.workers", under.Instances, &under)
	}
	if t.Check == nil {
		return
	}
	for _, p := range t.Check(s.Trigger, s.Swarm) {
		c.fail(p.Keys, "%s", p.Message)
	}
}

// checkTriggerBounds checks the settings that a trigger uses. What an arm's own kind wants its
// scenario may not have.
func checkTriggerBounds(c *checker, s *Scenario, t triggers.Trigger, has func(key string) bool) {
	for _, f := range triggerFields {
		if f.Range == nil || !slices.Contains(t.Uses, strings.TrimPrefix(f.Key, "trigger.")) {
			continue
		}
		r, value := *f.Range, s.number(f.Key)
		r.Below = strings.ReplaceAll(r.Below, "%s", t.Name)
		c.inRange(f.Key, value, r)
		if value < r.Low && !has(f.Key) {
			c.fail(on(f.Key, "trigger.kind"), "missing (%s)", r.Below)
		}
	}
}

// names are those of a struct's fields in a scenario file.
func names(settings any) []string {
	var all []string
	for f := range reflect.TypeOf(settings).Fields() {
		all = append(all, f.Tag.Get("yaml"))
	}
	return all
}

// checkMeasures checks what counts as reproduced and as cured. Some ranges are open
// at an end: no cure at a ratio of 0, no incident at the baseline's goodput.
func checkMeasures(c *checker, s *Scenario) {
	c.check(s, measureFields)
	if s.Incident.Faults > 0 && s.Incident.Kind != "" {
		c.fail(on("incident.faults", "incident.kind"), "%d: broken safety is no standstill that could be proved %s",
			s.Incident.Faults, quote(s.Incident.Kind))
	}
	if s.Incident.Faults > 0 && s.Trigger.Kind == triggers.None {
		c.fail(on("incident.faults", "trigger.kind"),
			"%d: without a trigger there is no incident, and any safety violation fails the run", s.Incident.Faults)
	}
	if k := s.Incident.Kind; k != "" && !slices.Contains(c.vocabulary.kinds, k) {
		c.fail(on("incident.kind"), "unknown kind of standstill %s; %s", quote(k), hint(k, c.vocabulary.kinds))
	}
	if r := s.Incident.GoodputRatio; r < 0 || r >= 1 {
		c.fail(on("incident.goodput_ratio"), "%s: want 0 or more, and less than 1", figure(r))
	}
	if r := s.Cure.Ratio; r <= 0 || r > 2 {
		c.fail(on("cure.ratio"), "%s: want more than 0, and at most 2", figure(r))
	}
	if r := s.Cure.RelapseRatio; r < 0 || r >= s.Cure.Ratio {
		c.fail(on("cure.relapse_ratio", "cure.ratio"), "%s: want 0 or more, and less than cure.ratio, %s", figure(r),
			figure(s.Cure.Ratio))
	}
}

func checkPhases(c *checker, s *Scenario) {
	const baseline, baselineMax, incident, recovery = "phases.baseline_ms", "phases.baseline_max_ms",
		"phases.incident_ms", "phases.recovery_ms"
	p := s.Phases
	c.check(s, phasesFields)
	if p.BaselineMaxMS < p.BaselineMS {
		c.fail(on(baselineMax, baseline), "%s: want at least baseline_ms, %s", figure(float64(p.BaselineMaxMS)),
			figure(float64(p.BaselineMS)))
	}
	triggered := s.Trigger.Kind != triggers.None
	if triggered && p.IncidentMS < s.Incident.ForMS {
		c.fail(on(incident, "incident.for_ms", "trigger.kind"), "%s: want at least incident.for_ms, %s",
			figure(float64(p.IncidentMS)), figure(float64(s.Incident.ForMS)))
	}
	if (triggered || slices.ContainsFunc(s.Arms, remedied)) && p.RecoveryMS < s.Cure.HoldMS {
		c.fail(on(recovery, "cure.hold_ms", "trigger.kind", "arms"), "%s: want at least cure.hold_ms, %s",
			figure(float64(p.RecoveryMS)), figure(float64(s.Cure.HoldMS)))
	}
}

// checkWatch bounds how often the server is looked at. A burst of MONITOR has to end
// before the next begins, with time left to compare it with.
func checkWatch(c *checker, s *Scenario) {
	const every, length = "watch.monitor_ms", "watch.monitor_for_ms"
	c.check(s, watchFields)
	if w := s.Watch; w.MonitorMS > 0 && w.MonitorForMS > w.MonitorMS/2 {
		c.fail(on(length, every), "%s: want at most half of monitor_ms, %s",
			figure(float64(w.MonitorForMS)), figure(float64(w.MonitorMS)))
	}
}

// checkClaims refuses what the runbook does not say.
func checkClaims(c *checker, ids []string) {
	for i, id := range ids {
		key := fmt.Sprintf("claims[%d]", i)
		switch {
		case !slices.Contains(c.vocabulary.claims, id):
			c.fail(on(key), "the runbook has no claim %s; %s", quote(id), hint(id, c.vocabulary.claims))
		case slices.Contains(ids[:i], id):
			c.fail(on(key), "%s is named twice", quote(id))
		}
	}
}

func checkSignals(c *checker, s *Scenario) {
	for name, signal := range s.Signals {
		key := join("signals", name)
		params, ok := c.vocabulary.signals[name]
		if !ok {
			c.fail(on(key), "unknown signal; %s", hint(name, slices.Sorted(maps.Keys(c.vocabulary.signals))))
			continue
		}
		c.oneOf(key+".expect", string(signal.Expect), fieldAt("signals.*.expect").words())
		within := key + ".within_ms"
		timed := c.has(within)
		if c.arm != "" { // an arm's expectation takes the place of the scenario's as a whole
			timed = c.decoder.has(c.arm + within)
		}
		switch {
		case timed && signal.Expect != Fire:
			c.fail(on(within, key+".expect"), "only a signal that is to fire has a time to fire within")
		case signal.WithinMS < 0:
			c.fail(on(within), "%s: want 0 or more", figure(float64(signal.WithinMS)))
		case signal.WithinMS > s.Phases.IncidentMS:
			c.fail(on(within, "phases.incident_ms"), "%s: the incident is over after %s",
				figure(float64(signal.WithinMS)), figure(float64(s.Phases.IncidentMS)))
		}
		for param := range signal.Params {
			c.param(key, param, params)
		}
		for param, err := range signals.CheckParams(name, signal.Params, setting(s)) {
			c.fail(on(join(key+".params", param)), "%v", err)
		}
	}
}

// setting is where the signals of a scenario are run. Of a pair a worker takes two locks
// of the same tenants.
func setting(s *Scenario) signals.Setting {
	in := signals.Setting{
		Lasts:       (s.Phases.BaselineMaxMS + s.Phases.IncidentMS + s.Phases.RecoveryMS).Duration(),
		CanaryEvery: s.Watch.CanaryMS.Duration(), Locks: int64(s.Swarm.Lock.Tenants),
		MaxClients: int64(s.Server.MaxClients), Own: server.ControlConnections,
	}
	if s.Watch.MonitorMS > 0 {
		in.Burst = s.Watch.MonitorForMS.Duration()
	}
	return in
}

// param refuses a parameter that the signal or remedy at key does not have.
func (c *checker) param(key, param string, known []string) {
	if !slices.Contains(known, param) {
		c.fail(on(join(key+".params", param)), "unknown parameter; %s", hint(param, known))
	}
}
