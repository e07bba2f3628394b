// Package history records and reads the evidence of a run: operations, samples, marks, censuses and
// probes, all as offsets from one monotonic start. Signals and the judge read nothing else, so that
// a recorded run can be judged again years later, without a Redis.
package history

import (
	"cmp"
	"fmt"
	"time"
)

// Never is the offset of an event that did not happen.
const Never time.Duration = -1

// Outcome is the outcome of an operation. Unknown is a separate value: an operation still in flight
// when the run is cut off may or may not take effect, and in a deadlock all operations are of this
// kind. The numbers are recorded in journals: append to them, never renumber.
type Outcome uint8

const (
	OK Outcome = iota
	Fail
	Unknown
	outcomes // the number of outcomes
)

var outcomeNames = [outcomes]string{OK: "ok", Fail: "fail", Unknown: "unknown"}

// String returns the name used in files and reports.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// MarshalText returns the name, or an error for a number that is not an outcome.
func (o Outcome) MarshalText() ([]byte, error) {
	if o >= outcomes {
		return nil, fmt.Errorf("history: unknown outcome %d", uint8(o))
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText parses a name written by MarshalText.
func (o *Outcome) UnmarshalText(text []byte) error {
	for i, name := range outcomeNames {
		if name == string(text) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("history: unknown outcome %q", text)
}

// Class is the reason for which an attempt failed, as seen by the client. Classes are distinguished
// by events on the connection, not by the text of an error: see swarm.Classify. The numbers are
// recorded in journals: append to them, never renumber.
type Class uint8

const (
	None        Class = iota
	Refused           // the server was full and refused the connection
	PoolTimeout       // no free connection in the client's own pool in time
	Deadline          // a dial, read, write or acquire deadline passed
	Reset             // an established connection was cut
	Unreachable       // nothing listened: the server is down
	Conflict          // the worker no longer owned the lock at release
	Rejected          // the server answered with an error (OOM, LOADING, NOPERM, ...)
	Crashed           // the worker died during the attempt
	Other
	classes // the number of classes
)

// Classes is the number of classes; every class is below it.
const Classes = int(classes)

var classNames = [classes]string{
	None:        "none",
	Refused:     "refused",
	PoolTimeout: "pool_timeout",
	Deadline:    "deadline",
	Reset:       "reset",
	Unreachable: "unreachable",
	Conflict:    "conflict",
	Rejected:    "rejected",
	Crashed:     "crashed",
	Other:       "other",
}

// String returns the name used in files and reports.
func (c Class) String() string {
	if c < classes {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// MarshalText returns the name, or an error for a number that is not a class.
func (c Class) MarshalText() ([]byte, error) {
	if c >= classes {
		return nil, fmt.Errorf("history: unknown error class %d", uint8(c))
	}
	return []byte(classNames[c]), nil
}

// UnmarshalText parses a name written by MarshalText.
func (c *Class) UnmarshalText(text []byte) error {
	for i, name := range classNames {
		if name == string(text) {
			*c = Class(i)
			return nil
		}
	}
	return fmt.Errorf("history: unknown error class %q", text)
}

// Op is one rate-limit decision, from its intended start. A journal keeps its times in whole
// microseconds, truncated, not rounded.
type Op struct {
	Worker   int32         // id of the worker; a replacement gets a new one
	Tenant   int32         // which has its own lock and counter
	Tries    int32         // number of attempts at the lock
	Outcome  Outcome       //
	Class    Class         // of the last error, None if there was none
	Admitted bool          // the limiter's answer
	Intended time.Duration // start scheduled by the arrival process
	Begun    time.Duration // when a worker started it; Never if none did
	Granted  time.Duration // when SET NX answered OK; Never if it did not
	Worked   time.Duration // end of the work under the lock, and of the reliance on it; Never if not reached
	Released time.Duration // when the release was confirmed; Never if it was not
	Ended    time.Duration // when the worker finished it or was cut off
	Fence    int64         // the fencing token of the grant; 0 without a grant
	Window   int64         // index of the counter's window
	Count    int64         // counter value written by this operation; 0 if none
}

// Sample is one reading of the server, over a control connection, and of the swarm. Counters are
// cumulative and start at 0 with the server or the swarm.
type Sample struct {
	At   time.Duration // when the sample was complete
	Took time.Duration // time that the server took to answer the sampler
	// SchedDelay is the total delay, since the last sample, with which a goroutine that only sleeps
	// was woken.
	SchedDelay time.Duration
	Server     *Server // nil when the server did not answer
	Error      string  // why the server did not answer
	Swarm      Swarm

	// ServerCPU is the CPU time used by the server process since its start, measured from outside;
	// 0 where it cannot be measured, and in older journals.
	ServerCPU time.Duration

	Canary  *Canary  // nil if there is no canary
	Locks   *Locks   // nil unless the keys were scanned for this sample
	Monitor *Monitor // nil unless MONITOR ran since the last sample
}

// Server is the answers to INFO and CONFIG GET. A field that is missing in them is 0 and has an
// entry in Missing, so that its zero is not taken for an answer.
type Server struct {
	RunID      string // changes with every restart, when counters start again
	Connected  int64  // connected_clients
	MaxClients int64
	Rejected   int64 // rejected_connections
	Received   int64 // total_connections_received
	Commands   int64 // total_commands_processed
	// Own is the part of Commands that lockjam's own monitoring caused since RunID was first seen;
	// 0 in older journals.
	Own int64
	CPU time.Duration // used_cpu_user plus used_cpu_sys; 0 in older journals
	// Calls is the number of the clients' commands, from commandstats: without the monitoring's
	// commands, INFO and handshakes.
	Calls       int64
	CommandTime time.Duration // time that the server spent in Calls

	ServerStatus // zero in older journals

	// Error replies since RunID was first seen, excluding those to lockjam's own monitoring: by
	// prefix, from INFO errorstats, and in total, from total_error_replies. Both need Redis 6.2 or
	// later. Neither includes refusals of connections because the server is full.
	Replies      Replies // nil where they were not recorded
	ErrorReplies int64

	Missing map[string]string // field of INFO -> why it is missing; commandstats stands for that section
}

// ServerStatus is the state of memory, persistence and replication in INFO. It is read once a
// second, since it changes slowly and costs more than the counters; it may be up to a second old.
type ServerStatus struct {
	Evicted      int64  // evicted_keys, since the server's start; read with every sample
	UsedMemory   int64  // bytes
	MaxMemory    int64  // bytes; 0: no limit
	BgsaveStatus string // rdb_last_bgsave_status: ok or err
	AOFStatus    string // aof_last_write_status: ok or err
	Role         string // Master or Replica
}

// Roles of a server in replication.
const (
	Master  = "master"
	Replica = "replica" // "slave" in INFO
)

// Canary counts the outcomes of connections by a raw socket that listens before it sends anything:
// it shows a full server's reply without a client library in between. Counts are from the start of
// the run.
type Canary struct {
	Dials       int64  // finished dials
	Admitted    int64  // answered a PING
	Refused     int64  // got the reply that the server is full
	Cut         int64  // were closed or reset without a reply
	Silent      int64  // got no reply in time, not even to a PING
	Unreachable int64  // nothing listened
	LastRefusal string // reply to the last refused connection
	Error       string // why there can be no canary
}

// Locks is the result of a SCAN over the lock keys.
type Locks struct {
	Keys  int64
	NoTTL int64 // of Asked
	// OldestIdle is in whole seconds (OBJECT IDLETIME). A SET NX that fails and a census reset it.
	OldestIdle time.Duration
	Asked      int64  // number of keys, the first ones, whose TTL and idle time were read
	Partial    bool   // the server has more keys than were scanned: Keys is a lower bound
	Scanned    int64  // if Partial, about how many keys were scanned, locks or not; the next sample continues
	Error      string // why there is no result
	IdleError  string // why OldestIdle is unknown
}

// Monitor is the lock requests that MONITOR showed in one period. MONITOR shows no replies.
type Monitor struct {
	From, To  time.Duration
	Commands  int64
	Attempts  int64  // to set a lock
	Releases  int64  // of a lock: DEL or UNLINK, by a client or a script
	Stuck     int64  // most attempts at one lock without a release in between
	StuckLock string // key of that lock
	Error     string // why MONITOR showed nothing
}

// Swarm is the workers' own counts of past events and present states.
type Swarm struct {
	Workers int64 // alive
	Idle    int64 // between two decisions
	Waiting int64 // for a lock, with or without a connection
	Dialing int64 // holding a lock, waiting for a connection
	Holding int64 // holding a lock and working

	Decisions        int64         // completed
	Failed           int64         // given up
	Dropped          int64         // arrivals (open loop) that found the queue full
	Grants           int64         //
	Releases         int64         // confirmed
	Crashes          int64         // workers that died holding a lock
	Dials            int64         // attempts to open a connection
	Commands         int64         // answered
	CommandTime      time.Duration // total from sending to answer, including waits for the pool
	Errors           [Classes]int64
	Replies          Replies       // error replies of class Rejected; nil in older journals, which have no prefixes
	MaxClientsErrors int64         // errors that reached the caller with "max number of clients" in their text
	Oldest           time.Duration // age of the oldest unfinished request that a worker has started
}

// Census is the states of all workers at one moment and the server's view of them: the edges of the
// wait-for graph.
type Census struct {
	At      time.Duration // when it was complete
	Took    time.Duration // it was begun at At - Took
	Before  Progress      // counted before anything else was read
	After   Progress      // counted after everything else was read
	Workers []WorkerState
	Locks   map[string]string // lock key -> token in Redis
	Clients map[string]int64  // name in CLIENT LIST -> connections
	Foreign []Foreign         // those of Clients that are not lockjam's; sorted; absent in older journals
	Slots   int64             // of the server, excluding control connections
	Error   string            // why Redis did not answer; Locks and Clients are missing
}

// Foreign is the connections of one client outside the run, by its name in CLIENT LIST ("" if
// unnamed) and its host.
type Foreign struct {
	Name        string `json:"name"`
	Host        string `json:"host"`
	Connections int64  `json:"connections"`
}

// String returns the form used in sentences: "cron at 10.0.0.7".
func (f Foreign) String() string {
	return fmt.Sprintf("%s at %s", cmp.Or(f.Name, "an unnamed client"), f.Host)
}

// Progress counts grants, releases and attempts since the swarm's start.
type Progress struct{ Grants, Releases, Attempts int64 }

// WorkerState is the state of one worker.
type WorkerState struct {
	Worker    int32         // id
	State     string        // as the swarm names it
	Lock      string        // key of the lock that it waits for or holds; "" for none
	Token     string        // token of the wait or hold
	Since     time.Duration // when it entered this state
	Client    string        // name of its client in CLIENT LIST
	Connected int64         // connections of that client that the server admitted
	Opened    time.Duration // when the last of them was opened
	Shared    bool          // other workers use the client too
	Kept      bool          // it keeps one of the client's connections, and so a turn of the pool, to itself
	KeptSince time.Duration

	Other      string // key of the first lock of a pair, already held with the same token; "" for none
	OtherSince time.Duration

	Outer      bool // it keeps another connection, for the whole of its decision
	OuterSince time.Duration

	Refused      string        // first word of the error reply to its last command; "" if that was accepted
	RefusedSince time.Duration // when it was first received, with no accepted command since
}

// Probe is one command run to observe its output, such as the runbook's, or one change made to
// observe its effect and then reverted.
type Probe struct {
	At, Took  time.Duration
	Name      string // runbook-monitor or one-more-slot
	Command   string // as typed in a shell
	Connected bool   // the command reached the server
	Lines     int64  // lines of output
	Matches   int64  // lines that match the runbook's grep
	Grants    int64  // within the probe time from its start, even if it ended earlier
	Releases  int64  // within the same time
	Output    string // beginning of its output, or the server's answer
	Error     string // why it could not be run
}

// Names of probes.
const (
	RunbookMonitor = "runbook-monitor"
	OneMoreSlot    = "one-more-slot"
)

// MarkKind is the kind of event that a mark records.
type MarkKind string

const (
	PhaseMark   MarkKind = "phase"   // start of a phase; Name is the phase, or End
	TriggerMark MarkKind = "trigger" // start of the incident; Name is the trigger
	RemedyMark  MarkKind = "remedy"  // start or end of the remedy; Name is Begun, Applied, Blocked or NotOurs
	StepMark    MarkKind = "step"    // step of a remedy; Detail is the server's answer
	LookMark    MarkKind = "look"    // look at the record so far; Name is the phase
	NoteMark    MarkKind = "note"    // any other remark
)

// Names of phases and of a remedy's marks.
const (
	Warmup   = "warmup" // connecting; not judged
	Baseline = "baseline"
	Incident = "incident"
	Recovery = "recovery"
	Probing  = "probing" // last; the effects of probes are not judged
	End      = "end"

	Begun   = "begun"
	Applied = "applied"
	Blocked = "blocked"
	NotOurs = "not-ours" // not tried: lockjam did not start the server
)

// Mark is an event caused by the harness.
type Mark struct {
	At     time.Duration
	Kind   MarkKind
	Name   string
	Detail string

	// Of a look only. Its At is the moment up to which it saw the record.
	Until time.Duration // when the phase is to end at the latest
	Ops   int64         // operations that it saw
}

// Header is the first line of a journal.
type Header struct {
	Schema   string    // "lockjam/history/v1"; Create fills it in
	Scenario string    //
	Arm      string    //
	Image    string    // the server's image in a run on several; else ""
	Seed     uint64    // source of every random choice of the arm
	Started  time.Time // wall clock at offset 0; informational only
}
