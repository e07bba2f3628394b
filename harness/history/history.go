// Package history is what a run leaves behind: operations, samples and marks, all as offsets from one monotonic start. Signals and the judge read nothing else, so a recorded run can be judged again without a Redis, years later.
package history

import (
	"cmp"
	"fmt"
	"time"
)

// Never is the offset of something that did not happen.
const Never time.Duration = -1

// Outcome of an operation. Unknown is a first-class answer: an operation that is still in flight when the run is cut off may or may not take effect, and a deadlock consists of nothing else. The numbers are in every journal: append to them, never renumber.
type Outcome uint8

const (
	OK Outcome = iota
	Fail
	Unknown
	outcomes // the number of outcomes
)

var outcomeNames = [outcomes]string{OK: "ok", Fail: "fail", Unknown: "unknown"}

// String returns the name that files and reports use.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// MarshalText returns the name; an outcome that is none of the three is an error.
func (o Outcome) MarshalText() ([]byte, error) {
	if o >= outcomes {
		return nil, fmt.Errorf("history: no outcome has the number %d", uint8(o))
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText reads a name that MarshalText wrote.
func (o *Outcome) UnmarshalText(text []byte) error {
	for i, name := range outcomeNames {
		if name == string(text) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("history: %q is no outcome", text)
}

// Class says why an attempt failed, from the client's side. Classes are told apart by what happened on the connection, not by the text of an error: see swarm.Classify. The numbers are in every journal: append to them, never renumber.
type Class uint8

const (
	None        Class = iota
	Refused           // the server was full and turned the connection away
	PoolTimeout       // the client's own pool had no free turn
	Deadline          // a dial, read, write or acquire deadline passed
	Reset             // an established connection was cut
	Unreachable       // nobody listened: the server is down
	Conflict          // the lock was not ours any more at release
	Rejected          // the server answered with an error (OOM, LOADING, NOPERM, ...)
	Crashed           // the worker died in the middle of it
	Other
	classes // the number of classes
)

// Classes is how many classes there are; every class is below it.
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

// String returns the name that files and reports use.
func (c Class) String() string {
	if c < classes {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// MarshalText returns the name; a number that is no class is an error.
func (c Class) MarshalText() ([]byte, error) {
	if c >= classes {
		return nil, fmt.Errorf("history: no class has the number %d", uint8(c))
	}
	return []byte(classNames[c]), nil
}

// UnmarshalText reads a name that MarshalText wrote.
func (c *Class) UnmarshalText(text []byte) error {
	for i, name := range classNames {
		if name == string(text) {
			*c = Class(i)
			return nil
		}
	}
	return fmt.Errorf("history: %q is no class of errors", text)
}

// Op is one rate-limit decision, from the moment it was meant to start. A journal keeps its times to the microsecond, cut off, not rounded.
type Op struct {
	Worker   int32         // the worker's id; a replaced worker has a new one
	Tenant   int32         // whose lock and counter
	Tries    int32         // attempts at the lock
	Outcome  Outcome       //
	Class    Class         // of the last error, None if there was none
	Admitted bool          // the limiter's answer
	Intended time.Duration // when the arrival process meant it to start
	Begun    time.Duration // when a worker took it up
	Granted  time.Duration // when SET NX answered OK; Never if it did not
	Worked   time.Duration // when the work under the lock was done: until then it relied on the lock; Never
	Released time.Duration // when the release was confirmed; Never if it was not
	Ended    time.Duration // when the worker was done with it, or was cut off
	Fence    int64         // the fencing token of the grant; 0 without a grant
	Window   int64         // index of the counter's window
	Count    int64         // the counter's value that this operation wrote; 0 if it wrote none
}

// Sample is one reading of the server, over a control connection, and of the swarm. Counters are cumulative and start at 0 with the server or the swarm.
type Sample struct {
	At     time.Duration // when the sample was complete
	Took   time.Duration // how long the server took to answer the sampler
	Stolen time.Duration // since the last sample: how long a goroutine that only sleeps was woken late, all told
	Server *Server       // nil when the server did not answer
	Error  string        // why it did not
	Swarm  Swarm

	// ServerCPU is the CPU time that the server's process has used since it was started, seen from outside; 0 where it cannot be seen, and in older journals.
	ServerCPU time.Duration

	Canary  *Canary  // nil where none dials
	Locks   *Locks   // nil unless the keys were looked at for this sample
	Monitor *Monitor // nil unless MONITOR was listened to since the last sample
}

// Server is what INFO and CONFIG GET say. What they do not say is 0, and Missing has its name: a zero is not to be taken for an answer then.
type Server struct {
	RunID       string // changes with every restart: counters start again
	Connected   int64  // connected_clients
	MaxClients  int64
	Rejected    int64         // rejected_connections
	Received    int64         // total_connections_received
	Commands    int64         // total_commands_processed
	Own         int64         // how many of them the watching itself caused, since RunID was first seen; 0 in older journals
	CPU         time.Duration // used_cpu_user and used_cpu_sys; 0 in older journals
	Calls       int64         // calls of the clients' commands, from commandstats: without the watching's, and without INFO and handshakes
	CommandTime time.Duration // time that the server spent in them

	Standing // all of it zero in older journals

	// Error replies since RunID was first seen, without the watching's own: by prefix, from INFO errorstats, and all of them, from total_error_replies. Both are of Redis 6.2 and up. A client that is turned away because the server is full is in neither.
	Replies      Replies // nil where they were not recorded
	ErrorReplies int64

	Missing map[string]string // field of INFO to why it is missing; commandstats stands for all of that section
}

// Standing is what INFO says of memory, persistence and replication. It is read once a second, for it changes slowly and costs more than counters: it may be as old.
type Standing struct {
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
	Replica = "replica" // INFO has it as slave
)

// Canary is what became of the connections of a raw socket that listens before it says anything: what a full server tells a client, no library in between. It counts from the start of the run.
type Canary struct {
	Dials       int64  // that came to an end
	Admitted    int64  // answered a PING
	Refused     int64  // were told that the server is full
	Cut         int64  // were closed or reset without a word
	Silent      int64  // heard nothing in time, not even to a PING
	Unreachable int64  // nobody listened
	Words       string // what the server told the last one that it refused
	Error       string // why there can be no canary
}

// Locks is what SCAN over the lock keys finds.
type Locks struct {
	Keys       int64
	NoTTL      int64         // of those that were asked
	OldestIdle time.Duration // in whole seconds (OBJECT IDLETIME); a SET NX that fails, and a census, end it
	Asked      int64         // how many were asked for their TTL and idle time: the first so many
	Partial    bool          // there are more keys in the server than were looked at: there are at least so many locks
	Looked     int64         // if Partial, about how many keys were looked at, locks or not; SCAN goes on from look to look
	Error      string        // why nothing was found out
	IdleError  string        // why OldestIdle is not known
}

// Monitor is what MONITOR shows of locks in one stretch of listening: requests, never answers.
type Monitor struct {
	From, To  time.Duration
	Commands  int64
	Attempts  int64  // at setting a lock
	Releases  int64  // of a lock: DEL or UNLINK, from a client or from a script
	Stuck     int64  // most attempts at one lock that nobody released meanwhile
	StuckLock string // which
	Error     string // why nothing was heard
}

// Swarm is the workers' own count of what they did and what they are doing.
type Swarm struct {
	Workers int64 // alive
	Idle    int64 // between two decisions
	Waiting int64 // for a lock, with or without a connection
	Dialing int64 // holding a lock, waiting for a connection to go on with
	Holding int64 // holding a lock and at work

	Decisions   int64         // completed
	Failed      int64         // given up
	Dropped     int64         // open arrivals that found the queue full
	Grants      int64         //
	Releases    int64         // confirmed
	Crashes     int64         // workers that died holding a lock
	Dials       int64         // attempts to open a connection
	Commands    int64         // that were answered
	CommandTime time.Duration // between sending them and their answers, the pool's queue included
	Errors      [Classes]int64
	Replies     Replies       // of those that were Rejected; nil in older journals, which have no prefixes
	Told        int64         // errors that had the server's "max number of clients" in their text when the caller got them
	Oldest      time.Duration // age of the oldest request that a worker has taken up and not finished
}

// Census is what every worker was doing at one moment, and what Redis said to it: the edges of the wait-for graph.
type Census struct {
	At      time.Duration // when it was complete
	Took    time.Duration // it was begun at At - Took
	Before  Progress      // counted before anything else was looked at
	After   Progress      // counted after everything else
	Workers []Stance
	Locks   map[string]string // lock key to the token that Redis holds
	Clients map[string]int64  // name in CLIENT LIST to connections
	Foreign []Foreign         // of these, the ones that are not lockjam's; sorted; absent in older journals
	Slots   int64             // of the server, those of control connections left out
	Error   string            // Redis did not answer; Locks and Clients are missing
}

// Foreign is connections of one client that is not part of the run, by its name in CLIENT LIST ("" has none) and its host.
type Foreign struct {
	Name        string `json:"name"`
	Host        string `json:"host"`
	Connections int64  `json:"connections"`
}

// String is how sentences name it: "cron at 10.0.0.7".
func (f Foreign) String() string {
	return fmt.Sprintf("%s at %s", cmp.Or(f.Name, "an unnamed client"), f.Host)
}

// Progress is what has been granted and released since the swarm's start.
type Progress struct{ Grants, Releases, Attempts int64 }

// Stance is what one worker is doing.
type Stance struct {
	Worker    int32         //
	State     string        // as the swarm names it
	Lock      string        // the key of the lock that it waits for or holds; "" for none
	Token     string        // with which it does
	Since     time.Duration // since when it has been in this state
	Client    string        // its client's name in CLIENT LIST
	Connected int64         // connections of that client that the server let in
	Opened    time.Duration // when the last of them was opened
	Shared    bool          // the client is not this worker's alone
	Kept      bool          // it keeps one of the client's connections, and with it a turn of its pool, to itself
	KeptSince time.Duration // since when

	Other      string        // the key of another lock, of a pair, that it holds already with the same token; "" for none
	OtherSince time.Duration // since when

	Outer      bool          // it keeps another one, for the whole of its decision
	OuterSince time.Duration // since when

	Refused      string        // first word of the error reply to its last command; "" if that was accepted
	RefusedSince time.Duration // when it was given first, with no accepted command since
}

// Probe is a command that was run once to see what it shows, such as the runbook's, or a change that was made to see what comes of it and taken back.
type Probe struct {
	At, Took  time.Duration
	Name      string // runbook-monitor or one-more-slot
	Did       string // as one would type it
	Connected bool   // the command reached the server
	Lines     int64  // that it printed
	Matches   int64  // of these, that the runbook's grep lets through
	Grants    int64  // while it lasted, and as long as the next one lasts
	Releases  int64  //
	Said      string // the beginning of what was printed, or the server's answer
	Error     string // why it could not be done at all
}

// Names of probes.
const (
	RunbookMonitor = "runbook-monitor"
	OneMoreSlot    = "one-more-slot"
)

// MarkKind says what a mark stands for.
type MarkKind string

const (
	PhaseMark   MarkKind = "phase"   // a phase begins; Name is its name, or End
	TriggerMark MarkKind = "trigger" // the incident is started; Name is the trigger's
	RemedyMark  MarkKind = "remedy"  // the remedy begins or ends: Applied, Blocked or Begun
	StepMark    MarkKind = "step"    // one step of a remedy, with the server's answer
	NoteMark    MarkKind = "note"    // anything else worth reading
)

// Names of phases and of a remedy's marks.
const (
	Warmup   = "warmup" // connecting; not judged
	Baseline = "baseline"
	Incident = "incident"
	Recovery = "recovery"
	Probing  = "probing" // after all else: what is asked and tried then counts for nothing
	End      = "end"

	Begun   = "begun"
	Applied = "applied"
	Blocked = "blocked"
	NotOurs = "not-ours" // not tried: the server is somebody else's
)

// Mark is a moment that the harness made.
type Mark struct {
	At     time.Duration
	Kind   MarkKind
	Name   string
	Detail string
}

// Header opens a journal.
type Header struct {
	Schema   string    // "lockjam/history/v1"; Create fills it in
	Scenario string    //
	Arm      string    //
	Image    string    // of the server, in a run on several; else ""
	Seed     uint64    // every random choice of the arm comes from it
	Started  time.Time // wall clock at offset 0; nothing is computed from it
}
