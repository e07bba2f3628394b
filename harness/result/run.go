// Package result is what run.json and the stream of events consist of: runs, arms, verdicts,
// events, environments. It decides nothing.
package result

import (
	"cmp"
	"fmt"
	"time"
)

// RunSchema is the version of run.json. Fields may be added under it; a field
// that changes its meaning or goes away makes a new one.
const RunSchema = "lockjam/run/v1"

// Status says how far a run came.
type Status string

const (
	Completed   Status = "completed"
	Interrupted Status = "interrupted" // stopped by a signal; also what a killed run left behind
	Aborted     Status = "aborted"     // could not go on
)

// Outcome of an arm, a scenario or a run.
type Outcome string

const (
	Pass         Outcome = "pass"
	Fail         Outcome = "fail"         // an expectation was not met
	Inconclusive Outcome = "inconclusive" // an assumption did not hold, so nothing can be said
)

// Verdict on a remedy.
type Verdict string

const (
	Cured    Verdict = "cured"     // restored, and it lasted
	Relapsed Verdict = "relapsed"  // work went on for a moment, and stopped again
	Partial  Verdict = "partial"   // better than the incident, worse than the baseline
	NoEffect Verdict = "no-effect" // nothing moved
	Blocked  Verdict = "blocked"   // it could not be applied
)

// Verdicts lists them all.
var Verdicts = []Verdict{Cured, Relapsed, Partial, NoEffect, Blocked}

// Verdicts on a prevention.
const (
	Prevented    Verdict = "prevented"     // the trigger made no difference that lasts
	Mitigated    Verdict = "mitigated"     // goodput suffered, and did not stay down
	NotPrevented Verdict = "not-prevented" // the incident took place
)

// PreventionVerdicts lists them all.
var PreventionVerdicts = []Verdict{Prevented, Mitigated, NotPrevented}

const (
	// ControlArm is the arm in which nothing is done about the incident.
	ControlArm = "control"
	// NoRemedy is the remedy of an arm without one.
	NoRemedy = "none"
	// AnyFiring is what is expected of a signal where nothing is.
	AnyFiring = "any"
)

// Run is run.json. Units are in the names.
type Run struct {
	Schema      string      `json:"schema"`
	ID          string      `json:"id"`
	Started     time.Time   `json:"started"`
	Finished    *time.Time  `json:"finished"`
	Seed        uint64      `json:"seed"`
	Repeat      int         `json:"repeat"`
	Status      Status      `json:"status"`
	Because     string      `json:"because,omitempty"` // why it did not complete
	Outcome     Outcome     `json:"outcome"`
	Environment Environment `json:"environment"`
	Scenarios   []Scenario  `json:"scenarios"`
	Claims      []Claim     `json:"claims"`

	Folder string `json:"-"` // that it is recorded in; arms' folders are within it
}

// Foreign is a client that is not part of the run, and how many connections it had at most.
type Foreign struct {
	Name        string `json:"name"` // as CLIENT SETNAME gave it; "" for none
	Host        string `json:"host"`
	Connections int64  `json:"connections"`
}

// String is how sentences name it: "cron at 10.0.0.7".
func (f Foreign) String() string {
	return fmt.Sprintf("%s at %s", cmp.Or(f.Name, "an unnamed client"), f.Host)
}

// Scenario holds the arms of one scenario.
type Scenario struct {
	Name   string   `json:"name"`
	Title  string   `json:"title"`
	File   string   `json:"file,omitempty"`   // as the user named it; "" for one of the catalogue
	Claims []string `json:"claims,omitempty"` // of the runbook that it bears on
	Arms   []Arm    `json:"arms"`
}

// Arm is verdict.json: everything that the judge has to say of one arm.
type Arm struct {
	Name         string       `json:"name"`
	Image        string       `json:"image,omitempty"` // of the server, in a run on several
	Repeat       int          `json:"repeat"`          // 1 and up
	Folder       string       `json:"folder"`          // within the run folder
	Why          string       `json:"why,omitempty"`
	Remedy       string       `json:"remedy"`
	Prevention   string       `json:"prevention,omitempty"`
	Claim        string       `json:"claim,omitempty"` // that the prevention stands for
	Attempts     int          `json:"attempts"`        // runs it took to get a clear answer
	Outcome      Outcome      `json:"outcome"`
	Reasons      []string     `json:"reasons"` // why the outcome is not pass
	Places       []Location   `json:"places,omitempty"`
	Reproduced   *bool        `json:"reproduced"` // null without a trigger
	Goodput      Goodput      `json:"goodput_per_s"`
	Phases       []Phase      `json:"phases"`
	Signals      []Signal     `json:"signals"`
	ErrorReplies []ErrorReply `json:"error_replies,omitempty"` // most frequent first; not recorded by older versions
	Steps        []Step       `json:"steps,omitempty"`
	Probes       []Probe      `json:"probes,omitempty"`
	Verdict      Verdict      `json:"verdict,omitempty"`
	Expected     Verdict      `json:"expected,omitempty"`
	Because      string       `json:"because,omitempty"` // the verdict in a sentence
	// what was compared with an expectation: verdict, safety, incident, signals
	Checked     []string     `json:"checked,omitzero"`
	Against     []string     `json:"against,omitempty"` // arms that do a part of what it does
	Credit      *Credit      `json:"credit,omitempty"`  // null where there is none to earn
	Recovery    *Recovery    `json:"recovery,omitempty"`
	Connections *Connections `json:"connections,omitempty"` // after a remedy
	Unsafe      bool         `json:"unsafe"`
	Safety      Safety       `json:"safety"`
	FaultsPerS  *Goodput     `json:"faults_per_s,omitempty"` // where the incident is safety violations
	Served      *Served      `json:"served,omitempty"`
	Deadlock    *Deadlock    `json:"deadlock,omitempty"`

	// Foreign are the clients on the server that are not part of the run, each with the
	// most connections that it had.
	Foreign []Foreign `json:"foreign,omitempty"`

	// Early is what was saved of the scenario's time; absent where every phase took it.
	Early *Early `json:"early,omitempty"`

	Truncated bool `json:"truncated,omitempty"` // the history ends in the middle
	Noisy     bool `json:"-"`                   // inconclusive for the machine's noise alone: worth another attempt
	Straddles bool `json:"-"`                   // inconclusive for too wide an interval: worth a longer look
}

// Early is how an arm ended before the scenario's time was over.
type Early struct {
	// the arm that waited for the signals that this one did not wait for
	AnsweredBy      string  `json:"answered_by,omitempty"`
	IncidentSavedMS float64 `json:"incident_saved_ms,omitempty"`
	Looks           int64   `json:"looks,omitempty"` // at the phase that the verdict comes from
	VerdictSavedMS  float64 `json:"verdict_saved_ms,omitempty"`
}

// Location is where in the scenario file a reason has its cause: at the expectation that
// was not met, or at the arm of which an assumption did not hold. Line and column count
// from 1, columns in characters.
type Location struct {
	Reason string `json:"reason"`
	Key    string `json:"key"` // arms[0].expect.verdict
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Served reports whether goodput is everybody's: how many of the workers completed a
// decision in the last part of a prevention's arm.
type Served struct {
	Workers int64 `json:"workers"`
	Of      int64 `json:"of"`
}

// Goodput at the three moments that matter, in decisions per second; null
// where an arm did not come to it.
type Goodput struct {
	Before *float64 `json:"before"` // the baseline
	During *float64 `json:"during"` // the end of the incident
	After  *float64 `json:"after"`  // from the restoration on, or the end of the recovery if there was none
}

// Phase is what happened between two phase marks.
type Phase struct {
	Name         string           `json:"name"`
	StartMS      float64          `json:"start_ms"`
	EndMS        float64          `json:"end_ms"`
	GoodputPerS  float64          `json:"goodput_per_s"` // over its whole tenths of a second, as everywhere
	ResponseMS   Percentiles      `json:"response_ms"`
	Operations   Operations       `json:"operations"`
	Classes      map[string]int64 `json:"classes"`                 // failed attempts, by class
	ErrorReplies map[string]int64 `json:"error_replies,omitempty"` // of Redis to the workers, by prefix
	DroppedCount int64            `json:"dropped_count"`           // open arrivals that no worker had time for
}

// Percentiles of response time, in milliseconds, over completed operations.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Operations by outcome.
type Operations struct {
	OK      int64 `json:"ok"`
	Fail    int64 `json:"fail"`
	Unknown int64 `json:"unknown"`
}

// Signal is what one signal did.
type Signal struct {
	Name            string   `json:"name"`
	Claim           string   `json:"claim,omitempty"`
	Expected        string   `json:"expected"` // fire, silent or any
	Met             bool     `json:"met"`
	Fired           bool     `json:"fired"`            // during the incident
	DetectMS        *float64 `json:"detect_ms"`        // from the trigger; null if it did not fire
	BaselineFirings int      `json:"baseline_firings"` // false alarms
	Cleared         bool     `json:"cleared"`          // silent at the end

	Unavailable string `json:"unavailable,omitempty"` // why nothing can be said
	// the arm that answers for it, where this one did not wait
	AnsweredBy string             `json:"answered_by,omitempty"`
	Figures    map[string]float64 `json:"figures,omitempty"` // what it read during the incident

	// FiguresAfter is what it read in the last second of the recovery.
	FiguresAfter map[string]float64 `json:"figures_after,omitempty"`
}

// Probe is a question that was asked once, after everything that counts.
type Probe struct {
	Name      string  `json:"name"` // runbook-monitor or one-more-slot
	Did       string  `json:"did"`
	AtMS      float64 `json:"at_ms"`
	TookMS    float64 `json:"took_ms"`
	Connected bool    `json:"connected"`         // it reached the server
	Lines     int64   `json:"lines"`             // that it printed
	Matches   int64   `json:"matches"`           // of these, that the runbook's grep lets through
	Grants    int64   `json:"grants"`            // while it lasted
	Releases  int64   `json:"releases"`          //
	Said      string  `json:"said,omitempty"`    // the beginning of what was printed
	Failed    string  `json:"failed,omitempty"`  // why it could not be done
	Because   string  `json:"because,omitempty"` // what it shows, in a sentence
}

// Control reports whether nothing was done in this arm, neither before nor after, and it
// ran the scenario as it is: others without a remedy may have another trigger.
func (a Arm) Control() bool {
	return a.Name == ControlArm && a.Remedy == NoRemedy && a.Prevention == ""
}

// Took is how long the arm ran, its server's start left out.
func (a *Arm) Took() time.Duration {
	if len(a.Phases) == 0 {
		return 0
	}
	return time.Duration(a.Phases[len(a.Phases)-1].EndMS * float64(time.Millisecond))
}

// Figures are what a signal read during the incident; nil if it read nothing.
func (a Arm) Figures(signal string) map[string]float64 {
	for _, s := range a.Signals {
		if s.Name == signal {
			return s.Figures
		}
	}
	return nil
}

// Step is one line of a remedy's log.
type Step struct {
	AtMS   float64 `json:"at_ms"`
	Did    string  `json:"did"`
	Answer string  `json:"answer"`
}

// Recovery compares goodput after the remedy with the baseline's.
type Recovery struct {
	Ratio           float64  `json:"ratio"`
	Low             float64  `json:"low"`  // 95% interval
	High            float64  `json:"high"` //
	RestoredAfterMS *float64 `json:"restored_after_ms"`
}

// Connections is what the runbook has an engineer watch after a remedy.
type Connections struct {
	Clients        int64    `json:"clients"`          // connected in the last second: the median
	SettledAfterMS *float64 `json:"settled_after_ms"` // from the remedy; null: they never did
}

// Safety counts what must not happen, from the remedy on where there is one.
type Safety struct {
	Overlaps           int64 `json:"overlaps"`
	LostUpdates        int64 `json:"lost_updates"`
	OverAdmitted       int64 `json:"over_admitted"`
	ForeignReleases    int64 `json:"foreign_releases"`
	FencingRegressions int64 `json:"fencing_regressions"`
}

// Total is all of them together.
func (s Safety) Total() int64 {
	return s.Overlaps + s.LostUpdates + s.OverAdmitted + s.ForeignReleases + s.FencingRegressions
}

// Deadlock is what is known of a standstill.
type Deadlock struct {
	Proved   bool     `json:"proved"`   // by reduction of the wait-for graph
	Checked  bool     `json:"checked"`  // Redis agrees with what the workers say
	Kind     string   `json:"kind"`     // deadlock, transient-deadlock, orphaned, livelock, starvation, slowness, ...
	AfterMS  float64  `json:"after_ms"` // from the trigger to the proof
	LateMS   float64  `json:"late_ms"`  // of these, after the rules had first allowed it
	Sentence string   `json:"sentence,omitempty"`
	Reasons  []string `json:"reasons,omitempty"` // why nothing is proved
	// clients that are not lockjam's and could end it: why nothing is proved
	Foreign []string `json:"foreign,omitempty"`
	Graph   string   `json:"graph,omitempty"` // of the residue, in Mermaid
	Residue Residue  `json:"residue"`

	// A transient deadlock ends by itself: when its first TTL or wait ends, and when
	// enough have that no worker is stuck, from the trigger.
	FirstEndMS *float64 `json:"first_end_ms,omitempty"`
	ClearMS    *float64 `json:"clear_ms,omitempty"`
}

// Residue counts what is stuck.
type Residue struct {
	Workers int64 `json:"workers"`
	Locks   int64 `json:"locks"`
	Slots   int64 `json:"slots"`
	Turns   int64 `json:"turns"` // of connection pools
}

// Claim is the evidence on one line of the runbook.
type Claim struct {
	ID       string     `json:"id"`
	Words    string     `json:"words"`   // the runbook's, in short
	Verdict  string     `json:"verdict"` // confirmed, refuted, conditional or untested
	Because  string     `json:"because"`
	Instead  string     `json:"instead,omitempty"` // what to do where it does not hold
	Evidence []Evidence `json:"evidence"`

	// Images has the claim image by image, with the evidence of each, in a run on
	// several; Evidence is empty then.
	Images []ClaimOn `json:"images,omitempty"`
}

// ClaimOn is what was measured of a claim on one image.
type ClaimOn struct {
	Image    string     `json:"image"`
	Verdict  string     `json:"verdict"`
	Because  string     `json:"because"`
	Evidence []Evidence `json:"evidence"`
}

// Evidence points at a field of an arm's result, and repeats what stands there.
type Evidence struct {
	Scenario string `json:"scenario"`
	Arm      string `json:"arm"`
	Field    string `json:"field"`
	Value    any    `json:"value,omitempty"`
}

// Verdicts on a claim.
const (
	Confirmed   = "confirmed"
	Refuted     = "refuted"
	Conditional = "conditional" // true in some scenarios, false in others
	Untested    = "untested"
)
