package result

import "fmt"

// EventSchema is the version of the stream of events. Fields and kinds may be added
// under it; one that changes its meaning or goes away makes a new one.
//
//go:generate go test ../schema -run TestEventSchemaIsUpToDate -update
const EventSchema = "lockjam/events/v1"

// Event tells an onlooker what a run is doing. Events of different arms are
// interleaved where arms run side by side. docs/events.md says which kind has which
// fields.
type Event struct {
	Kind      EventKind `json:"event"`
	Schema    string    `json:"schema,omitempty"` // run-started: lockjam/events/v1
	Seq       int64     `json:"seq"`              // 1 and up, without a gap
	ElapsedMS float64   `json:"elapsed_ms"`       // since the run's start; run.started is its time of day
	Scenario  string    `json:"scenario,omitempty"`
	Arm       string    `json:"arm,omitempty"`
	Image     string    `json:"image,omitempty"`  // in a run on several
	Repeat    int       `json:"repeat,omitempty"` // 1 and up
	AtMS      float64   `json:"at_ms,omitempty"`  // since the arm's start, as in its history
	// the phase, trigger, remedy, step or signal; of a deadlock its kind
	Name    string  `json:"name,omitempty"`
	Detail  string  `json:"detail,omitempty"`   // what came of it
	AboutMS float64 `json:"about_ms,omitempty"` // phase: how long it takes at least
	Firing  *bool   `json:"firing,omitempty"`   // signal: true when it is raised, false when it clears
	Load    *Load   `json:"load,omitempty"`     // sample
	Result  *Arm    `json:"result,omitempty"`   // arm-finished
	Plan    *Plan   `json:"plan,omitempty"`     // run-started
	Run     *Run    `json:"run,omitempty"`      // run-started, run-finished
	Folder  string  `json:"folder,omitempty"`   // run-started, run-finished
}

// EventKind names an event. The kinds of marks (phase, trigger, remedy, step,
// note) are event kinds too.
type EventKind string

const (
	RunStarted    EventKind = "run-started"
	RunFinished   EventKind = "run-finished"
	ArmStarted    EventKind = "arm-started"
	ArmFinished   EventKind = "arm-finished"
	ArmRepeated   EventKind = "arm-repeated" // the interval straddled the threshold: once more
	Sampled       EventKind = "sample"
	SignalEvent   EventKind = "signal"   // one was raised, or cleared
	DeadlockEvent EventKind = "deadlock" // the standstill is proved
	PhaseEvent    EventKind = "phase"
	TriggerEvent  EventKind = "trigger"
	RemedyEvent   EventKind = "remedy"
	StepEvent     EventKind = "step"
	NoteEvent     EventKind = "note"
	LookEvent     EventKind = "look" // at the record so far, at a moment fixed beforehand
)

// EventKinds lists them all, in about the order in which they come.
var EventKinds = []EventKind{
	RunStarted, ArmStarted, PhaseEvent, Sampled, TriggerEvent, SignalEvent, DeadlockEvent,
	RemedyEvent, StepEvent, LookEvent, NoteEvent, ArmRepeated, ArmFinished, RunFinished,
}

// Plan is what a run is going to do.
type Plan struct {
	Total    int          `json:"total"`    // arms that will run: each of Arms as often as Repeat says
	Repeat   int          `json:"repeat"`   // 1 and up
	Parallel int          `json:"parallel"` // arms side by side, at most
	Arms     []PlannedArm `json:"arms"`     // by scenario, not in the order in which they run
}

// PlannedArm is an arm that is to run.
type PlannedArm struct {
	Scenario string  `json:"scenario"`
	Arm      string  `json:"arm"`
	Image    string  `json:"image,omitempty"` // in a run on several
	AboutMS  float64 `json:"about_ms"`        // how long its phases take by the scenario; its server's start comes on top
}

// Load is one sample in figures that a person can follow.
type Load struct {
	Decisions  int64 `json:"decisions"` // since the arm's start
	Workers    int64 `json:"workers"`
	Waiting    int64 `json:"waiting"`              // for a lock or a connection
	Connected  int64 `json:"connected_clients"`    // 0 with MaxClients, where the server did not answer
	MaxClients int64 `json:"maxclients"`           // 0 where the server did not answer
	Rejected   int64 `json:"rejected_connections"` // since the server's start

	// of Redis to the workers since the arm's start, by prefix
	ErrorReplies map[string]int64 `json:"error_replies,omitempty"`
}

// SlotsTaken is how many of maxclients' slots clients have, and what is to be said of clients
// beyond them, "" mostly. Redis refuses a client before it counts it, and cuts none where
// maxclients is lowered: more clients than slots were there before that.
func SlotsTaken(connected, maxclients int64) (taken int64, beyond string) {
	if connected <= maxclients {
		return connected, ""
	}
	return maxclients, fmt.Sprintf(" + %d from before maxclients was lowered", connected-maxclients)
}
