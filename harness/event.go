package harness

import (
	"github.com/lockjam/lockjam/harness/history"
)

// Event tells an onlooker what a run is doing. Events of different arms are
// interleaved where arms run side by side.
type Event struct {
	Kind     EventKind  `json:"event"`
	Scenario string     `json:"scenario,omitempty"`
	Arm      string     `json:"arm,omitempty"`
	Image    string     `json:"image,omitempty"` // in a run on several
	Repeat   int        `json:"repeat,omitempty"`
	AtMS     float64    `json:"at_ms,omitempty"`  // since the arm's start
	Name     string     `json:"name,omitempty"`   // the phase, trigger, remedy or step
	Detail   string     `json:"detail,omitempty"` // what came of it
	Load     *Load      `json:"load,omitempty"`   // sample
	Result   *ArmResult `json:"result,omitempty"` // arm-finished
	Run      *Run       `json:"run,omitempty"`    // run-started, run-finished
	Folder   string     `json:"folder,omitempty"` // run-started, run-finished
}

// EventKind names an event. The kinds of marks (phase, trigger, remedy, step,
// note) are event kinds too.
type EventKind string

const (
	RunStarted  EventKind = "run-started"
	RunFinished EventKind = "run-finished"
	ArmStarted  EventKind = "arm-started"
	ArmFinished EventKind = "arm-finished"
	ArmRepeated EventKind = "arm-repeated" // the interval straddled the threshold: once more
	Sampled     EventKind = "sample"
	PhaseEvent  EventKind = EventKind(history.PhaseMark)
	StepEvent   EventKind = EventKind(history.StepMark)
	NoteEvent   EventKind = EventKind(history.NoteMark)
)

// Load is one sample in figures that a person can follow.
type Load struct {
	Decisions  int64 `json:"decisions"` // since the arm's start
	Workers    int64 `json:"workers"`
	Waiting    int64 `json:"waiting"` // for a lock or a connection
	Connected  int64 `json:"connected_clients"`
	MaxClients int64 `json:"maxclients"`
	Rejected   int64 `json:"rejected_connections"`
}

func sampleEvent(s history.Sample) Event {
	load := Load{Decisions: s.Swarm.Decisions, Workers: s.Swarm.Workers, Waiting: s.Swarm.Waiting + s.Swarm.Dialing}
	if s.Server != nil {
		load.Connected, load.MaxClients, load.Rejected = s.Server.Connected, s.Server.MaxClients, s.Server.Rejected
	}
	return Event{Kind: Sampled, AtMS: millis(s.At), Load: &load}
}
