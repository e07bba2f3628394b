// Package scenario reads scenario files: one failure each, with the server and
// checkSwarm that it takes, what starts it, and what is expected of every signal
// and remedy. Loading is strict: an unknown key or a bad value is an error with
// file, line and column, before anything starts.
package scenario

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/harness/triggers"
)

// Scenario is one failure. See scenarios/*.yaml for worked ones.
type Scenario struct {
	Name    string `yaml:"name"`    // the mechanism, in lower-case words joined by hyphens
	Title   string `yaml:"title"`   // one line for lists and tables
	Summary string `yaml:"summary"` // a paragraph: what happens and why

	Server   Server            `yaml:"server"`
	Swarm    swarm.Settings    `yaml:"swarm"`
	Trigger  triggers.Settings `yaml:"trigger"` // what starts the incident
	Phases   Phases            `yaml:"phases"`
	Watch    Watch             `yaml:"watch"`
	Claims   []string          `yaml:"claims"` // of the runbook that it bears on
	Incident Incident          `yaml:"incident"`
	Cure     Cure              `yaml:"cure"`
	Signals  map[string]Signal `yaml:"signals"` // by name; a signal that is not named may do as it likes
	Arms     []Arm             `yaml:"arms"`    // each is one run of the scenario on a fresh server

	Path   string `yaml:"-"` // where it was read from, for messages
	Source []byte `yaml:"-"` // the file as it was read, stored with every run
	File   string `yaml:"-"` // as the user named it; "" for one of the catalogue

	places map[string]place `yaml:"-"` // of every key in the file
}

// Location is where a key stands in the file, line and column counted from 1, columns in
// characters: of "signals.deadlock.expect" or "arms[0].expect.verdict". A key that the
// file leaves out is at the nearest one above it.
func (s *Scenario) Place(key string) (line, column int) {
	at := nearestPlace(s.places, key)
	return at.line, at.column
}

// ArmKey is the key of an arm in the file, "arms[2]"; "" where there is no such arm.
func (s *Scenario) ArmKey(name string) string {
	i := slices.IndexFunc(s.Arms, func(a Arm) bool { return a.Name == name })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("arms[%d]", i)
}

// Server is the Redis that every arm starts afresh.
type Server struct {
	MaxClients int `yaml:"maxclients"` // control connections included
	// ConfigIfKnown are directives that older servers do not know, and do without.
	ConfigIfKnown server.Config `yaml:"config_if_known"`
	// Config are further redis.conf directives, each with a text as its value, or a list
	// of texts where redis.conf has it several times. They are read back from the server.
	Config server.Config `yaml:"config"`

	// Topology is single; sentinel, a primary and a replica with a Sentinel; or
	// cluster, three shards. Each node has MaxClients and Config. What is not single
	// is several processes, or containers that share this machine's network; an
	// address is one server.
	Topology server.Topology `yaml:"topology"`
}

// Phases says how long each phase runs, in milliseconds.
type Phases struct {
	BaselineMS    swarm.Millis `yaml:"baseline_ms"`     // the stretch that has to be steady
	BaselineMaxMS swarm.Millis `yaml:"baseline_max_ms"` // how long to wait for such a stretch
	IncidentMS    swarm.Millis `yaml:"incident_ms"`     // from the trigger to the remedy
	RecoveryMS    swarm.Millis `yaml:"recovery_ms"`     // from the end of the remedy
	PreventionMS  swarm.Millis `yaml:"prevention_ms"`   // from the trigger to the end of an arm with a prevention
}

// Watch says how often things are looked at that cost something; 0 is never.
type Watch struct {
	LocksMS swarm.Millis `yaml:"locks_ms"` // SCAN for the lock keys
	// a raw socket that dials: while there is room it takes a slot for 30 ms
	CanaryMS     swarm.Millis `yaml:"canary_ms"`
	MonitorMS    swarm.Millis `yaml:"monitor_ms"`     // from one burst of MONITOR to the next
	MonitorForMS swarm.Millis `yaml:"monitor_for_ms"` // the length of a burst
	// ProbeMS is how long each probe may take after the recovery of the control arm:
	// the runbook's MONITOR command, and one more slot than maxclients.
	ProbeMS swarm.Millis `yaml:"probe_ms"`
}

// Incident says when the failure counts as reproduced: goodput over the last
// ForMS milliseconds of the incident phase is at most GoodputRatio of the
// baseline's, or there were at least Faults safety violations in that time. Without a
// checkTrigger there is no incident to reproduce.
type Incident struct {
	// Kind is what the wait-for graph has to prove (deadlock, orphaned, ...); ""
	// expects nothing.
	Kind         string       `yaml:"kind"`
	GoodputRatio float64      `yaml:"goodput_ratio"` // of the baseline's goodput, at most
	ForMS        swarm.Millis `yaml:"for_ms"`        // at the end of the incident
	// Faults is how many times safety is broken at the end of the incident, at least,
	// where that is the failure and not a loss of goodput; 0: goodput is what is lost.
	Faults int64 `yaml:"faults"`
}

// Cure says when goodput counts as restored: the lower bound of the 95%
// interval of goodput over baseline is at least Ratio from some moment on, and
// no window of RelapseWindowMS falls under RelapseRatio. At least HoldMS of the
// recovery must lie behind that moment. Where the incident is safety violations, it is
// over when there are no more of them, and Ratio is of the goodput at the end of the
// incident: to exclude each other again may cost what not to do so had gained.
type Cure struct {
	Ratio           float64      `yaml:"ratio"`             // of the baseline's goodput, at least
	RelapseRatio    float64      `yaml:"relapse_ratio"`     // of the baseline's; less for a window is a relapse
	RelapseWindowMS swarm.Millis `yaml:"relapse_window_ms"` // the length of such a window
	HoldMS          swarm.Millis `yaml:"hold_ms"`           // for how long it has to last
}

// Signal is what a scenario expects of one signal during the incident, and how
// the signal's parameters differ from its defaults here.
type Signal struct {
	Expect   Expect             `yaml:"expect"`
	WithinMS swarm.Millis       `yaml:"within_ms"` // fire: from the trigger; 0: any time in the incident
	Params   map[string]float64 `yaml:"params"`    // the signal's, where they are not its defaults
}

// Expect is what a signal should do.
type Expect string

const (
	Fire   Expect = "fire"   // it has to fire during the incident
	Silent Expect = "silent" // it must not
	Any    Expect = "any"    // either will do
)

// Arm is one run of the scenario on a fresh server.
type Arm struct {
	Name   string            `yaml:"name"`   // lower-case words joined by hyphens
	Why    string            `yaml:"why"`    // what this arm is there to tell
	Remedy string            `yaml:"remedy"` // "" is the same as none
	Params map[string]string `yaml:"params"` // the remedy's

	// Prevention names what is in force from the start; "" is nothing.
	Prevention string `yaml:"prevention"`
	// Claim is the runbook's, if the prevention is the runbook's.
	Claim string `yaml:"claim"`
	// Extended arms are left out of the runbook suite, which takes under a minute: they
	// run with --all, and where their scenario is named.
	Extended bool `yaml:"extended"`
	// What differs from the scenario in this arm, complete: what the file leaves out
	// is the scenario's. nil: nothing does.

	Swarm   *swarm.Settings    `yaml:"swarm"` // for a rollout: what is rolled out
	Server  *Server            `yaml:"server"`
	Trigger *triggers.Settings `yaml:"trigger"`
	Phases  *Phases            `yaml:"phases"`
	Signals map[string]Signal  `yaml:"signals"` // by name, each as a whole; the others are the scenario's

	// Against names arms that do a part of what this one does, or the same without
	// what is new in it: a cure is compared with them, beside the control.
	Against []string `yaml:"against"`

	Expect ArmExpect `yaml:"expect"`
}

// ControlArm is the name of the arm in which nothing is done: what every other one is
// compared with.
const ControlArm = "control"

// RolloutRemedy is the remedy whose arm says what to roll out.
const RolloutRemedy = "rollout"

// ArmExpect is what was measured, repeatedly, for this arm.
type ArmExpect struct {
	Verdict string `yaml:"verdict"` // of the remedy; "" expects nothing
	Unsafe  *bool  `yaml:"unsafe"`  // whether it breaks safety; null expects nothing
}

// Defaults are the values of what a file leaves out.
func Defaults() Scenario {
	return Scenario{
		Server:   Server{Topology: server.Single},
		Swarm:    swarm.Defaults(),
		Trigger:  triggers.Settings{Kind: triggers.None},
		Phases:   Phases{BaselineMS: 1000, BaselineMaxMS: 8000, IncidentMS: 2000, RecoveryMS: 3000, PreventionMS: 3000},
		Watch:    Watch{LocksMS: 500, CanaryMS: 200, MonitorMS: 1000, MonitorForMS: 200, ProbeMS: 500},
		Incident: Incident{GoodputRatio: 0.1, ForMS: 1000},
		Cure:     Cure{Ratio: 0.9, RelapseRatio: 0.5, RelapseWindowMS: 500, HoldMS: 1500},
	}
}

// For is the scenario as an arm runs it.
func (s *Scenario) For(a Arm) *Scenario {
	under := *s
	if a.Swarm != nil && a.Remedy != RolloutRemedy {
		under.Swarm = *a.Swarm
	}
	if a.Server != nil {
		under.Server = *a.Server
	}
	if a.Trigger != nil {
		under.Trigger = *a.Trigger
	}
	if a.Phases != nil {
		under.Phases = *a.Phases
	}
	if len(a.Signals) > 0 {
		under.Signals = make(map[string]Signal, len(s.Signals)+len(a.Signals))
		maps.Copy(under.Signals, s.Signals)
		maps.Copy(under.Signals, a.Signals)
	}
	return &under
}

// SameIncident reports whether an arm has the control arm's incident, up to the moment at
// which its remedy is applied.
func (s *Scenario) SameIncident(a Arm) bool {
	return a.Prevention == "" && a.Server == nil && a.Trigger == nil && len(a.Signals) == 0 &&
		(a.Swarm == nil || a.Remedy == RolloutRemedy) &&
		(a.Phases == nil || a.Phases.IncidentMS == s.Phases.IncidentMS)
}

// Longer is the scenario with n times as long before the trigger and after what was
// done about it, so that goodput is known better. The incident is what it was.
func (s *Scenario) Longer(n int) *Scenario {
	longer := *s
	p := &longer.Phases
	for _, ms := range []*swarm.Millis{&p.BaselineMS, &p.BaselineMaxMS, &p.RecoveryMS, &p.PreventionMS} {
		*ms *= swarm.Millis(n)
	}
	return &longer
}

// Core is the scenario without its extended arms.
func (s *Scenario) Core() *Scenario {
	core := *s
	core.Arms = slices.DeleteFunc(slices.Clone(s.Arms), func(a Arm) bool { return a.Extended })
	return &core
}

// Arm finds an arm by name.
func (s *Scenario) Arm(name string) (Arm, bool) {
	for _, a := range s.Arms {
		if a.Name == name {
			return a, true
		}
	}
	return Arm{}, false
}
