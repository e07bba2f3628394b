package history

import (
	"hash/crc32"
	"math"
	"strconv"
	"time"
)

// The journal is NDJSON in zstd, written while the run goes on:
//
//	{"schema":"lockjam/history/v1","scenario":..,"arm":..,"seed":..,"started":..,"op":["ended_us",..]}
//	[153344,7,612,9405,21,10,37,1,0,0,1,1,0,1]                   an operation
//	{"sample":{"at_us":..,"took_us":..,"server":{..},"swarm":{..}}}
//	{"mark":{"at_us":..,"kind":"trigger","name":"surge"}}
//	{"batch":{"lines":1724,"crc32c":2893471234}}                 closes the lines since the last one
//	{"end":{"ops":96131}}                                        last line of a journal that was closed
//
// To read operations by name, which the header has for that:
//
//	zstdcat history.ndjson.zst | jq -nc 'input.op as $names | inputs | select(type == "array") |
//		[$names, .] | transpose | map({(.[0]): .[1]}) | add'
//
// Times are whole microseconds, cut off rather than rounded; -1 stands for Never. A batch's checksum is what lets a reader promise that it never makes up an operation: zstd checks its own only at the end of a frame, too late for a journal that was cut off or has rotted.

// Schema names the format of the journals that this package writes and reads.
const Schema = "lockjam/history/v1"

// opColumns names the numbers of an operation's line; the header repeats it, so that a journal explains itself to jq.
//
// The end is absolute, so that every line can be placed in time by itself, and lines that follow each other share its leading digits. The other times count back from it, each from the next one that happened: tail from the release to the end, release from the end of the work to the release, hold from the grant to the end of the work, wait from the beginning to the grant, queue from the intention to the beginning. Fence, window and count are steps since the last line of the same tenant, which are nearly always 1, 0 and 1. That and the order are what zstd packs best of those measured: 13 to 16 bytes an operation (BenchmarkSize), some 4 less than absolute numbers take.
var opColumns = [...]string{
	"ended_us", "tail_us", "release_us", "hold_us", "wait_us", "queue_us",
	"tries", "worker", "tenant", "outcome", "class", "admitted",
	"fence_step", "window_step", "count_step",
}

const (
	opFields  = len(opColumns)
	maxMicros = math.MaxInt64 / int64(time.Microsecond)

	// maxLine is the longest line in bytes. Operations take at most 300 of them; the census of 20,000 workers takes 3 MiB.
	maxLine = 8 << 20
	// batchLines closes a batch early, so that a reader, who must not hand on what is not checked yet, never holds more than maxBatch lines.
	batchLines = 8 << 10
	maxBatch   = 1 << 17
)

// castagnoli has an instruction of its own on current processors.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// toMicros turns an offset into the journal's number: -1 for Never, and room made for it below zero.
func toMicros(t time.Duration) int64 {
	if t == Never {
		return -1
	}
	return spread(int64(t / time.Microsecond))
}

// fromMicros undoes toMicros. It reports false for what no offset can hold.
func fromMicros(us int64) (time.Duration, bool) {
	if us == -1 {
		return Never, true
	}
	us = gather(us)
	return time.Duration(us) * time.Microsecond, -maxMicros <= us && us <= maxMicros
}

// spread keeps -1 free for absence. Negative numbers are rare: a time that runs backwards should not happen, but must not be lost in the evidence if it does.
func spread(us int64) int64 {
	if us < 0 {
		return us - 1
	}
	return us
}

func gather(us int64) int64 {
	if us < 0 {
		return us + 1
	}
	return us
}

// counters are the last fence, window and count of a tenant.
type counters struct{ fence, window, count int64 }

// tenants holds the counters of every tenant, from which the next line differs. Tenants are numbered from 0, so a slice serves all but odd ids.
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

// appendOp appends the line of op to b, and moves its tenant's counters on.
func (t *tenants) appendOp(b []byte, op *Op) []byte {
	c := t.of(op.Tenant)
	b = strconv.AppendInt(append(b, '['), toMicros(op.Ended), 10)
	base := op.Ended
	b, base = appendBack(b, max(base, 0), op.Released)
	b, base = appendBack(b, base, op.Worked)
	b, base = appendBack(b, base, op.Granted)
	b, base = appendBack(b, base, op.Begun)
	b, _ = appendBack(b, base, op.Intended)
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

// appendBack appends how long before base at was, and returns the base of the time before that.
func appendBack(b []byte, base, at time.Duration) ([]byte, time.Duration) {
	if at == Never {
		return append(b, ',', '-', '1'), base
	}
	// Both are cut off before they are subtracted, or errors would add up.
	us := int64(base/time.Microsecond) - int64(at/time.Microsecond)
	return strconv.AppendInt(append(b, ','), spread(us), 10), at
}

// readOp reads the line that appendOp wrote, without its newline. It reports false for anything that appendOp would not have written.
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

// readTimes turns the first numbers of a line, as opColumns has them, into offsets: ended, released, worked, granted, begun, intended.
func readTimes(v *[6]int64) (at [6]time.Duration, ok bool) {
	at[0], ok = fromMicros(v[0])
	base := max(int64(at[0]/time.Microsecond), 0)
	for i := 1; i < len(v); i++ {
		if v[i] == -1 {
			at[i] = Never
			continue
		}
		difference := gather(v[i])
		us := base - difference
		// The first two keep the difference from wrapping round to a good one.
		ok = ok && -2*maxMicros <= difference && difference <= 2*maxMicros && -maxMicros <= us && us <= maxMicros
		at[i], base = time.Duration(us)*time.Microsecond, us
	}
	return at, ok
}

// readInts reads [1,-2,..], written without spaces as appendOp does, into v. It reports false for another form, another length, and a number that does not fit.
func readInts(line []byte, v *[opFields]int64) bool {
	if len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
		return false
	}
	i := 1 // the closing bracket ends every number: no loop below runs past it
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
