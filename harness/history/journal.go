package history

import (
	"hash/crc32"
	"math"
	"strconv"
	"time"
)

// The journal is zstd-compressed NDJSON, written during the run:
//
//	{"schema":"lockjam/history/v1","scenario":..,"arm":..,"seed":..,"started":..,"op":["ended_us",..]}
//	[153344,7,612,9405,21,10,37,1,0,0,1,1,0,1]                   one operation
//	{"sample":{"at_us":..,"took_us":..,"server":{..},"swarm":{..}}}
//	{"mark":{"at_us":..,"kind":"trigger","name":"surge"}}
//	{"batch":{"lines":1724,"crc32c":2893471234}}                 closes the lines since the last one
//	{"end":{"ops":96131}}                                        last line of a journal that was closed
//
// To read operations with field names, which the header lists:
//
//	zstdcat history.ndjson.zst | jq -nc 'input.op as $names | inputs | select(type == "array") |
//		[$names, .] | transpose | map({(.[0]): .[1]}) | add'
//
// Times are whole microseconds, truncated, not rounded; -1 stands for Never. Thanks to the checksum
// of each batch, readers never report an operation that was not recorded: zstd verifies its own
// checksum only at the end of a frame, which is too late for a truncated or corrupted journal.

// Schema names the journal format that this package writes and reads.
const Schema = "lockjam/history/v1"

// opColumns names the numbers in an operation's line. The header repeats it, which makes a journal
// self-describing for jq.
//
// The end is absolute, so that each line can be placed in time on its own; consecutive lines share
// its leading digits. The other times are intervals, each to the next event that happened: tail
// from the release to the end, release from the end of the work to the release, hold from the grant
// to the end of the work, wait from the start to the grant, queue from the intended to the actual
// start. Fence, window and count are differences from the previous line of the same tenant, nearly
// always 1, 0 and 1. Of the encodings and orders measured, this one compresses best: 13 to 16 bytes
// per operation (BenchmarkSize), some 4 bytes less than absolute numbers.
var opColumns = [...]string{
	"ended_us", "tail_us", "release_us", "hold_us", "wait_us", "queue_us",
	"tries", "worker", "tenant", "outcome", "class", "admitted",
	"fence_step", "window_step", "count_step",
}

const (
	opFields  = len(opColumns)
	maxMicros = math.MaxInt64 / int64(time.Microsecond)

	// maxLine is the length limit of a line in bytes. Operations take at most 300; the census of
	// 20,000 workers takes 3 MiB.
	maxLine = 8 << 20
	// batchLines is the number of lines at which the writer closes a batch, so that a reader, which
	// must not pass on unverified lines, never holds more than maxBatch.
	batchLines = 8 << 10
	maxBatch   = 1 << 17
)

// castagnoli is the CRC-32C table; current processors have an instruction for it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// toMicros converts an offset to the journal's number: -1 for Never; negative offsets are shifted
// down by one to keep -1 free.
func toMicros(t time.Duration) int64 {
	if t == Never {
		return -1
	}
	return shiftNegative(int64(t / time.Microsecond))
}

// fromMicros is the inverse of toMicros. It reports false for a number that does not fit into an
// offset.
func fromMicros(us int64) (time.Duration, bool) {
	if us == -1 {
		return Never, true
	}
	us = unshiftNegative(us)
	return time.Duration(us) * time.Microsecond, -maxMicros <= us && us <= maxMicros
}

// shiftNegative keeps -1 free for Never. Negative numbers are rare: a time that runs backwards
// should not happen, but must not be lost from the evidence if it does.
func shiftNegative(us int64) int64 {
	if us < 0 {
		return us - 1
	}
	return us
}

// unshiftNegative is the inverse of shiftNegative.
func unshiftNegative(us int64) int64 {
	if us < 0 {
		return us + 1
	}
	return us
}

// counters are the latest fence, window and count of a tenant.
type counters struct{ fence, window, count int64 }

// tenants holds the counters of every tenant, to which the next line is relative. Tenants are
// numbered from 0, so a slice serves all but unusual ids.
type tenants struct {
	low  []counters
	rest map[int32]*counters
}

func (t *tenants) of(id int32) *counters {
	if uint32(id) < uint32(len(t.low)) {
		return &t.low[id]
	}
	return t.add(id)
}

func (t *tenants) add(id int32) *counters {
	const low = 1 << 12
	if id >= 0 && id < low {
		t.low = append(t.low, make([]counters, int(id)+1-len(t.low))...)
		return &t.low[id]
	}
	if c := t.rest[id]; c != nil {
		return c
	}
	if t.rest == nil {
		t.rest = make(map[int32]*counters)
	}
	c := new(counters)
	t.rest[id] = c
	return c
}

// appendOp appends the line of op to b and advances its tenant's counters.
func (t *tenants) appendOp(b []byte, op *Op) []byte {
	c := t.of(op.Tenant)
	b = strconv.AppendInt(append(b, '['), toMicros(op.Ended), 10)
	base := op.Ended
	b, base = appendInterval(b, max(base, 0), op.Released)
	b, base = appendInterval(b, base, op.Worked)
	b, base = appendInterval(b, base, op.Granted)
	b, base = appendInterval(b, base, op.Begun)
	b, _ = appendInterval(b, base, op.Intended)
	b = strconv.AppendInt(append(b, ','), int64(op.Tries), 10)
	b = strconv.AppendInt(append(b, ','), int64(op.Worker), 10)
	b = strconv.AppendInt(append(b, ','), int64(op.Tenant), 10)
	b = strconv.AppendInt(append(b, ','), int64(op.Outcome), 10)
	b = strconv.AppendInt(append(b, ','), int64(op.Class), 10)
	admitted := byte('0')
	if op.Admitted {
		admitted = '1'
	}
	b = append(b, ',', admitted)
	b = strconv.AppendInt(append(b, ','), op.Fence-c.fence, 10)
	b = strconv.AppendInt(append(b, ','), op.Window-c.window, 10)
	b = strconv.AppendInt(append(b, ','), op.Count-c.count, 10)
	*c = counters{op.Fence, op.Window, op.Count}
	return append(b, ']', '\n')
}

// appendInterval appends the interval from at to base, and returns the base of the next interval.
func appendInterval(b []byte, base, at time.Duration) ([]byte, time.Duration) {
	if at == Never {
		return append(b, ',', '-', '1'), base
	}
	// Both are truncated before the subtraction, otherwise errors would add up.
	us := int64(base/time.Microsecond) - int64(at/time.Microsecond)
	return strconv.AppendInt(append(b, ','), shiftNegative(us), 10), at
}

// readOp parses a line written by appendOp, without its newline. It reports false for anything that
// appendOp does not write.
func (t *tenants) readOp(line []byte, op *Op) bool {
	var v [opFields]int64
	if !readInts(line, &v) {
		return false
	}
	at, ok := readTimes((*[6]int64)(v[:6]))
	tries, worker, tenant := int32(v[6]), int32(v[7]), int32(v[8])
	if !ok || int64(tries) != v[6] || int64(worker) != v[7] || int64(tenant) != v[8] ||
		uint64(v[9]) >= uint64(outcomes) || uint64(v[10]) >= uint64(classes) || uint64(v[11]) > 1 {
		return false
	}
	c := t.of(tenant)
	c.fence += v[12]
	c.window += v[13]
	c.count += v[14]
	*op = Op{
		Worker: worker, Tenant: tenant, Tries: tries,
		Outcome: Outcome(v[9]), Class: Class(v[10]), Admitted: v[11] == 1,
		Ended: at[0], Released: at[1], Worked: at[2], Granted: at[3], Begun: at[4], Intended: at[5],
		Fence: c.fence, Window: c.window, Count: c.count,
	}
	return true
}

// readTimes converts the first numbers of a line, in the order of opColumns, to offsets: ended,
// released, worked, granted, begun, intended.
func readTimes(v *[6]int64) (at [6]time.Duration, ok bool) {
	at[0], ok = fromMicros(v[0])
	base := max(int64(at[0]/time.Microsecond), 0)
	for i := 1; i < len(v); i++ {
		if v[i] == -1 {
			at[i] = Never
			continue
		}
		difference := unshiftNegative(v[i])
		us := base - difference
		// The bounds on the difference prevent an overflow that wraps around to a valid number.
		ok = ok && -2*maxMicros <= difference && difference <= 2*maxMicros && -maxMicros <= us && us <= maxMicros
		at[i], base = time.Duration(us)*time.Microsecond, us
	}
	return at, ok
}

// readInts parses [1,-2,..], without spaces as appendOp writes it, into v. It reports false for
// another form or length, and for a number that does not fit.
func readInts(line []byte, v *[opFields]int64) bool {
	if len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
		return false
	}
	i := 1 // the closing bracket ends every number, so no loop below runs past it
	for f := range v {
		negative := line[i] == '-'
		if negative {
			i++
		}
		start, n := i, uint64(0)
		for ; line[i]-'0' <= 9; i++ {
			n = n*10 + uint64(line[i]-'0')
		}
		// 19 digits do not overflow a uint64.
		if digits := i - start; digits == 0 || digits > 19 {
			return false
		}
		end := byte(',')
		if f == opFields-1 {
			end = ']'
		}
		if line[i] != end {
			return false
		}
		switch {
		case n <= math.MaxInt64 && negative:
			v[f] = -int64(n)
		case n <= math.MaxInt64:
			v[f] = int64(n)
		case n == -math.MinInt64 && negative:
			v[f] = math.MinInt64
		default:
			return false
		}
		i++
	}
	return i == len(line)
}
