package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The lines of a journal that are objects. They are rare, so encoding/json is fast enough. Field
// names include units, for use with jq; text that is not valid UTF-8 is converted.

type headerLine struct {
	Schema   string    `json:"schema"`
	Scenario string    `json:"scenario"`
	Arm      string    `json:"arm"`
	Image    string    `json:"image,omitempty"`
	Seed     uint64    `json:"seed"`
	Started  time.Time `json:"started"`
	Op       []string  `json:"op"` // opColumns
}

// objectLine is any line other than the header and operations; exactly one field is set.
type objectLine struct {
	Sample *sampleLine `json:"sample,omitempty"`
	Mark   *markLine   `json:"mark,omitempty"`
	Census *censusLine `json:"census,omitempty"`
	Probe  *probeLine  `json:"probe,omitempty"`
	Batch  *batchLine  `json:"batch,omitempty"`
	End    *endLine    `json:"end,omitempty"`
}

// batchLine closes a batch: the number of its lines, excluding this one, and their checksum,
// including newlines.
type batchLine struct {
	Lines  int64  `json:"lines"`
	CRC32C uint32 `json:"crc32c"`
}

// endLine is the last line of a journal that was closed without losses.
type endLine struct {
	Ops int64 `json:"ops"`
}

type markLine struct {
	At     int64    `json:"at_us"`
	Kind   MarkKind `json:"kind"`
	Name   string   `json:"name,omitempty"`
	Detail string   `json:"detail,omitempty"`
	Until  int64    `json:"until_us,omitempty"`
	Ops    int64    `json:"ops,omitempty"`
}

type sampleLine struct {
	At         int64       `json:"at_us"`
	Took       int64       `json:"took_us"`
	SchedDelay int64       `json:"stolen_us,omitempty"`
	Server     *serverLine `json:"server,omitempty"`
	CPU        int64       `json:"server_cpu_us,omitempty"`
	Error      string      `json:"error,omitempty"`
	Swarm      swarmLine   `json:"swarm"`

	Canary  *canaryLine  `json:"canary,omitempty"`
	Locks   *locksLine   `json:"locks,omitempty"`
	Monitor *monitorLine `json:"monitor,omitempty"`
}

type serverLine struct {
	RunID       string `json:"run_id"`
	Connected   int64  `json:"connected"`
	MaxClients  int64  `json:"max_clients"`
	Rejected    int64  `json:"rejected"`
	Received    int64  `json:"received"`
	Commands    int64  `json:"commands"`
	Own         int64  `json:"own,omitempty"`
	Calls       int64  `json:"calls"`
	CommandTime int64  `json:"command_time_us"`
	CPU         int64  `json:"cpu_us,omitempty"`

	statusLine

	Replies      Replies `json:"replies,omitzero"`
	ErrorReplies int64   `json:"error_replies,omitempty"`

	Missing map[string]string `json:"missing,omitempty"`
}

type statusLine struct {
	Evicted      int64  `json:"evicted,omitempty"`
	UsedMemory   int64  `json:"used_memory,omitempty"`
	MaxMemory    int64  `json:"maxmemory,omitempty"`
	BgsaveStatus string `json:"rdb_last_bgsave_status,omitempty"`
	AOFStatus    string `json:"aof_last_write_status,omitempty"`
	Role         string `json:"role,omitempty"`
}

type swarmLine struct {
	Workers          int64           `json:"workers"`
	Idle             int64           `json:"idle"`
	Waiting          int64           `json:"waiting"`
	Dialing          int64           `json:"dialing"`
	Holding          int64           `json:"holding"`
	Decisions        int64           `json:"decisions"`
	Failed           int64           `json:"failed"`
	Dropped          int64           `json:"dropped"`
	Grants           int64           `json:"grants"`
	Releases         int64           `json:"releases"`
	Crashes          int64           `json:"crashes"`
	Dials            int64           `json:"dials"`
	Commands         int64           `json:"commands"`
	CommandTime      int64           `json:"command_time_us"`
	Errors           map[Class]int64 `json:"errors,omitempty"` // without zeros
	Replies          Replies         `json:"replies,omitzero"` // {}: none; absent: not recorded
	MaxClientsErrors int64           `json:"told,omitempty"`
	Oldest           int64           `json:"oldest_us,omitempty"`
}

// encodeLine returns the line of v, including its newline.
func encodeLine(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(b) >= maxLine {
		return nil, fmt.Errorf("the record takes %d bytes, but the limit is %d", len(b), maxLine-1)
	}
	return append(b, '\n'), nil
}

func encodeHeader(h Header) ([]byte, error) {
	return encodeLine(headerLine{
		Schema: Schema, Scenario: h.Scenario, Arm: h.Arm, Image: h.Image, Seed: h.Seed,
		// Without the monotonic reading, and in the same form on every machine.
		Started: h.Started.Round(0).UTC(), Op: opColumns[:],
	})
}

// decodeHeader returns different errors for a journal of another schema and for a file that is not
// a journal.
func decodeHeader(line []byte) (Header, error) {
	var format struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(line, &format); err != nil || format.Schema == nil {
		return Header{}, errors.New("not a lockjam journal: its first line is not a journal header")
	}
	if *format.Schema != Schema {
		return Header{}, fmt.Errorf("its schema is %q, but this version of lockjam reads %q", *format.Schema, Schema)
	}
	var h headerLine
	if err := json.Unmarshal(line, &h); err != nil {
		return Header{}, fmt.Errorf("not a lockjam journal: invalid header: %w", err)
	}
	return Header{Schema: h.Schema, Scenario: h.Scenario, Arm: h.Arm, Image: h.Image, Seed: h.Seed,
		Started: h.Started}, nil
}

func encodeMark(m Mark) ([]byte, error) {
	return encodeLine(objectLine{Mark: &markLine{
		At: toMicros(m.At), Kind: m.Kind, Name: m.Name, Detail: m.Detail, Until: toMicros(m.Until), Ops: m.Ops,
	}})
}

func decodeMark(l *markLine) (m Mark, ok bool) {
	at, atFits := fromMicros(l.At)
	until, untilFits := fromMicros(l.Until)
	return Mark{At: at, Kind: l.Kind, Name: l.Name, Detail: l.Detail, Until: until, Ops: l.Ops}, atFits && untilFits
}

func encodeSample(s Sample) ([]byte, error) {
	l := sampleLine{At: toMicros(s.At), Took: toMicros(s.Took), SchedDelay: toMicros(s.SchedDelay),
		CPU: toMicros(s.ServerCPU), Error: s.Error}
	if v := s.Server; v != nil {
		l.Server = &serverLine{
			RunID: v.RunID, Connected: v.Connected, MaxClients: v.MaxClients,
			Rejected: v.Rejected, Received: v.Received,
			Commands: v.Commands, Own: v.Own, Calls: v.Calls, CommandTime: toMicros(v.CommandTime),
			CPU: toMicros(v.CPU), statusLine: statusLine(v.ServerStatus),
			Replies: v.Replies, ErrorReplies: v.ErrorReplies, Missing: v.Missing,
		}
	}
	w := s.Swarm
	l.Swarm = swarmLine{
		Workers: w.Workers, Idle: w.Idle, Waiting: w.Waiting, Dialing: w.Dialing, Holding: w.Holding,
		Decisions: w.Decisions, Failed: w.Failed, Dropped: w.Dropped,
		Grants: w.Grants, Releases: w.Releases, Crashes: w.Crashes,
		Dials: w.Dials, Commands: w.Commands, CommandTime: toMicros(w.CommandTime), Replies: w.Replies,
		MaxClientsErrors: w.MaxClientsErrors, Oldest: toMicros(w.Oldest),
	}
	l.setReadings(s)
	for class, n := range w.Errors {
		if n == 0 {
			continue
		}
		if l.Swarm.Errors == nil {
			l.Swarm.Errors = make(map[Class]int64)
		}
		l.Swarm.Errors[Class(class)] = n
	}
	return encodeLine(objectLine{Sample: &l})
}

func decodeSample(l *sampleLine) (s Sample, ok bool) {
	at, ok := fromMicros(l.At)
	took, tookOK := fromMicros(l.Took)
	delay, delayOK := fromMicros(l.SchedDelay)
	spent, spentOK := fromMicros(l.Swarm.CommandTime)
	oldest, oldestOK := fromMicros(l.Swarm.Oldest)
	cpu, cpuOK := fromMicros(l.CPU)
	w := l.Swarm
	s = Sample{At: at, Took: took, SchedDelay: delay, ServerCPU: cpu, Error: l.Error, Swarm: Swarm{
		Workers: w.Workers, Idle: w.Idle, Waiting: w.Waiting, Dialing: w.Dialing, Holding: w.Holding,
		Decisions: w.Decisions, Failed: w.Failed, Dropped: w.Dropped,
		Grants: w.Grants, Releases: w.Releases, Crashes: w.Crashes,
		Dials: w.Dials, Commands: w.Commands, CommandTime: spent, Replies: w.Replies,
		MaxClientsErrors: w.MaxClientsErrors, Oldest: oldest,
	}}
	for class, n := range w.Errors {
		s.Swarm.Errors[class] = n
	}
	ok = ok && cpuOK && tookOK && delayOK && spentOK && oldestOK && l.readings(&s)
	if v := l.Server; v != nil {
		spent, spentOK := fromMicros(v.CommandTime)
		cpu, cpuOK := fromMicros(v.CPU)
		s.Server = &Server{
			RunID: v.RunID, Connected: v.Connected, MaxClients: v.MaxClients,
			Rejected: v.Rejected, Received: v.Received,
			Commands: v.Commands, Own: v.Own, Calls: v.Calls, CommandTime: spent, CPU: cpu,
			ServerStatus: ServerStatus(v.statusLine), Replies: v.Replies, ErrorReplies: v.ErrorReplies,
			Missing: v.Missing,
		}
		ok = ok && spentOK && cpuOK
	}
	return s, ok
}
