package history

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// genTime generates times that a journal can represent: whole microseconds, or Never.
func genTime() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return Never
		case 1:
			return time.Duration(rapid.Int64Range(-maxMicros, maxMicros).Draw(t, "any_us")) * time.Microsecond
		default:
			return time.Duration(rapid.Int64Range(-2, 100_000_000).Draw(t, "us")) * time.Microsecond
		}
	})
}

func genOp(times *rapid.Generator[time.Duration]) *rapid.Generator[Op] {
	return rapid.Custom(func(t *rapid.T) Op {
		return Op{
			Worker:   rapid.Int32().Draw(t, "worker"),
			Tenant:   rapid.OneOf(rapid.Int32Range(0, 5), rapid.Int32()).Draw(t, "tenant"),
			Tries:    rapid.Int32().Draw(t, "tries"),
			Outcome:  Outcome(rapid.IntRange(0, int(outcomes)-1).Draw(t, "outcome")),
			Class:    Class(rapid.IntRange(0, Classes-1).Draw(t, "class")),
			Admitted: rapid.Bool().Draw(t, "admitted"),
			Intended: times.Draw(t, "intended"),
			Begun:    times.Draw(t, "begun"),
			Granted:  times.Draw(t, "granted"),
			Worked:   times.Draw(t, "worked"),
			Released: times.Draw(t, "released"),
			Ended:    times.Draw(t, "ended"),
			Fence:    rapid.Int64().Draw(t, "fence"),
			Window:   rapid.Int64().Draw(t, "window"),
			Count:    rapid.Int64().Draw(t, "count"),
		}
	})
}

func TestOpLineRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var writer, reader tenants
		for _, want := range rapid.SliceOfN(genOp(genTime()), 1, 20).Draw(t, "ops") {
			line := writer.appendOp(nil, &want)
			var got Op
			if !reader.readOp(line[:len(line)-1], &got) {
				t.Fatalf("cannot read %s", line)
			}
			if got != want {
				t.Fatalf("%s\n got %+v\nwant %+v", line, got, want)
			}
		}
	})
}

// The longest possible interval, in both directions. Random search finds it once in thousands of
// runs.
func TestOpLineLongestInterval(t *testing.T) {
	const longest = time.Duration(maxMicros) * time.Microsecond
	for _, want := range []Op{
		{Intended: Never, Begun: Never, Granted: Never, Worked: longest, Released: -longest, Ended: Never},
		{Intended: Never, Begun: Never, Granted: Never, Worked: -longest, Released: longest, Ended: Never},
	} {
		var writer, reader tenants
		var got Op
		if line := writer.appendOp(nil, &want); !reader.readOp(line[:len(line)-1], &got) || got != want {
			t.Errorf("%s is read as %+v", line, got)
		}
	}
}

// The journal keeps microseconds: each time is truncated on its own, so an interval is off by less
// than one, regardless of its encoding.
func TestOpLineTruncatesToMicroseconds(t *testing.T) {
	nanos := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(-1, math.MaxInt64).Draw(t, "ns"))
	})
	truncate := func(at time.Duration) time.Duration {
		if at == Never {
			return Never
		}
		return at.Truncate(time.Microsecond)
	}
	rapid.Check(t, func(t *rapid.T) {
		op := genOp(nanos).Draw(t, "op")
		var writer, reader tenants
		line := writer.appendOp(nil, &op)
		var got Op
		if !reader.readOp(line[:len(line)-1], &got) {
			t.Fatalf("cannot read %s", line)
		}
		want := op
		want.Intended, want.Begun, want.Granted = truncate(op.Intended), truncate(op.Begun), truncate(op.Granted)
		want.Worked, want.Released, want.Ended = truncate(op.Worked), truncate(op.Released), truncate(op.Ended)
		if got != want {
			t.Fatalf("%s\n got %+v\nwant %+v", line, got, want)
		}
	})
}

// stableLine is the line of a record and its form in the journal format. Recorded runs are read
// years later and by other tools: changing one of these lines means changing Schema.
type stableLine struct{ name, got, want string }

func checkStable(t *testing.T, lines []stableLine) {
	t.Helper()
	for _, c := range lines {
		if c.got != c.want+"\n" {
			t.Errorf("%s:\n got %swant %s", c.name, c.got, c.want)
		}
	}
}

func TestOpLinesAreStable(t *testing.T) {
	var all tenants
	op := func(op Op) string { return string(all.appendOp(nil, &op)) }
	us := time.Microsecond
	full := Op{
		Worker: 37, Tenant: 1, Tries: 10, Admitted: true,
		Intended: 143299 * us, Begun: 143320 * us, Granted: 152725 * us, Worked: 153126 * us, Released: 153337 * us,
		Ended: 153344*us + 999,
		Fence: 25006, Window: 16, Count: 291,
	}
	next := full
	next.Fence, next.Count = 25007, 292
	hung := Op{
		Worker: 5, Tenant: 1, Tries: 3, Outcome: Unknown, Class: Refused,
		Intended: 10 * us, Begun: 12 * us, Granted: Never, Worked: Never, Released: Never, Ended: 900 * us,
	}
	queued := hung
	queued.Begun, queued.Tries, queued.Class = Never, 0, None
	checkStable(t, []stableLine{
		{"operation", op(full), `[153344,7,211,401,9405,21,10,37,1,0,0,1,25006,16,291]`},
		{"the tenant's next", op(next), `[153344,7,211,401,9405,21,10,37,1,0,0,1,1,0,1]`},
		{"without a grant", op(hung), `[900,-1,-1,-1,888,2,3,5,1,2,1,0,-25007,-16,-292]`},
		{"never taken up", op(queued), `[900,-1,-1,-1,-1,890,0,5,1,2,0,0,0,0,0]`},
		// Released after its end and before its grant: impossible, but recorded.
		{"backwards", op(Op{Tenant: 2, Intended: 0, Begun: 0, Granted: 9 * us, Worked: 9 * us, Released: 6 * us,
			Ended: 5 * us}),
			`[5,-2,-4,0,9,0,0,0,2,0,0,0,0,0,0]`},
	})
}

func TestObjectLinesAreStable(t *testing.T) {
	line := func(b []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	us := time.Microsecond
	sample := Sample{
		At: 2 * time.Second, Took: 312 * us,
		Server: &Server{RunID: "f00", Connected: 32, MaxClients: 32, Rejected: 7, Received: 40, Commands: 900,
			Calls: 850, CommandTime: 425 * us},
		Swarm: Swarm{Workers: 96, Idle: 1, Waiting: 2, Dialing: 3, Holding: 4, Decisions: 5, Failed: 6, Dropped: 7,
			Grants: 8, Releases: 9, Crashes: 10, Dials: 11, Commands: 12, CommandTime: 13 * us},
	}
	sample.Swarm.Errors[Refused], sample.Swarm.Errors[PoolTimeout] = 14, 15
	watched := sample
	watched.Server = &Server{RunID: "f00", Commands: 900, Own: 410}
	watched.Locks = &Locks{Keys: 3, Partial: true, Scanned: 20000}
	started := time.Date(2026, 5, 4, 3, 2, 1, 987654321, time.FixedZone("east", 3600))
	checkStable(t, []stableLine{
		{"header", line(encodeHeader(Header{Scenario: "retry-storm", Arm: "none", Seed: math.MaxUint64,
			Started: started})),
			`{"schema":"lockjam/history/v1","scenario":"retry-storm","arm":"none",` +
				`"seed":18446744073709551615,"started":"2026-05-04T02:02:01.987654321Z",` +
				`"op":["ended_us","tail_us","release_us","hold_us","wait_us","queue_us","tries","worker",` +
				`"tenant","outcome","class","admitted","fence_step","window_step","count_step"]}`},
		{"header of an arm of a run on several images",
			line(encodeHeader(Header{Scenario: "healthy", Arm: "control", Image: "valkey:8", Started: started})),
			`{"schema":"lockjam/history/v1","scenario":"healthy","arm":"control","image":"valkey:8","seed":0,` +
				`"started":"2026-05-04T02:02:01.987654321Z",` +
				`"op":["ended_us","tail_us","release_us","hold_us","wait_us","queue_us","tries","worker",` +
				`"tenant","outcome","class","admitted","fence_step","window_step","count_step"]}`},
		{"sample", line(encodeSample(sample)),
			`{"sample":{"at_us":2000000,"took_us":312,"server":{"run_id":"f00","connected":32,` +
				`"max_clients":32,"rejected":7,"received":40,"commands":900,"calls":850,"command_time_us":425},` +
				`"swarm":{"workers":96,"idle":1,"waiting":2,"dialing":3,"holding":4,"decisions":5,"failed":6,` +
				`"dropped":7,"grants":8,"releases":9,"crashes":10,"dials":11,"commands":12,` +
				`"command_time_us":13,` +
				`"errors":{"pool_timeout":15,"refused":14}}}}`},
		{"sample with own commands and a partial scan of keys", line(encodeSample(watched)),
			`{"sample":{"at_us":2000000,"took_us":312,"server":{"run_id":"f00","connected":0,"max_clients":0,` +
				`"rejected":0,"received":0,"commands":900,"own":410,"calls":0,"command_time_us":0},` +
				`"swarm":{"workers":96,"idle":1,"waiting":2,"dialing":3,"holding":4,"decisions":5,"failed":6,` +
				`"dropped":7,"grants":8,"releases":9,"crashes":10,"dials":11,"commands":12,` +
				`"command_time_us":13,` +
				`"errors":{"pool_timeout":15,"refused":14}},"locks":{"keys":3,"no_ttl":0,"oldest_idle_us":0,` +
				`"asked":0,"partial":true,"looked":20000}}}`},
		{"sample of a server that does not answer", line(encodeSample(Sample{At: us, Error: "i/o timeout"})),
			`{"sample":{"at_us":1,"took_us":0,"error":"i/o timeout","swarm":{"workers":0,"idle":0,` +
				`"waiting":0,"dialing":0,"holding":0,"decisions":0,"failed":0,"dropped":0,"grants":0,` +
				`"releases":0,"crashes":0,"dials":0,"commands":0,"command_time_us":0}}}`},
		{"mark", line(encodeMark(Mark{At: 3 * us, Kind: StepMark, Name: "config-set", Detail: "OK"})),
			`{"mark":{"at_us":3,"kind":"step","name":"config-set","detail":"OK"}}`},
		{"mark of nothing", line(encodeMark(Mark{At: Never, Kind: NoteMark})),
			`{"mark":{"at_us":-1,"kind":"note"}}`},
		{"batch", line(encodeLine(objectLine{Batch: &batchLine{Lines: 2, CRC32C: 3}})),
			`{"batch":{"lines":2,"crc32c":3}}`},
		{"end", line(encodeLine(objectLine{End: &endLine{}})), `{"end":{"ops":0}}`},
	})
}

func TestReadOpRefusesInvalidLines(t *testing.T) {
	const good = `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,1]`
	var op Op
	if !new(tenants).readOp([]byte(good), &op) {
		t.Fatalf("refuses %s", good)
	}
	for name, line := range map[string]string{
		"nothing":                  ``,
		"one bracket":              `[`,
		"no numbers":               `[]`,
		"one number":               `[1]`,
		"one number too few":       `[9,1,1,1,1,1,1,1,1,0,0,1,1,1]`,
		"one number too many":      `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,1,1]`,
		"a missing number":         `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,]`,
		"only a sign":              `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,-]`,
		"spaces":                   `[9, 1,1,1,1,1,1,1,0,0,1,1,1,1]`,
		"a fraction":               `[9,1.5,1,1,1,1,1,1,0,0,1,1,1,1]`,
		"an early end":             `[9,1]1,1,1,1,1,1,0,0,1,1,1,1]`,
		"trailing input":           `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,1]]`,
		"twenty digits":            `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,00000000000000000001]`,
		"more than an int64":       `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,9223372036854775808]`,
		"less than an int64":       `[9,1,1,1,1,1,1,1,1,0,0,1,1,1,-9223372036854775809]`,
		"a worker over 32 bits":    `[9,1,1,1,1,1,1,2147483648,1,0,0,1,1,1,1]`,
		"no such outcome":          `[9,1,1,1,1,1,1,1,1,3,0,1,1,1,1]`,
		"no such class":            `[9,1,1,1,1,1,1,1,1,0,10,1,1,1,1]`,
		"a negative class":         `[9,1,1,1,1,1,1,1,1,0,-1,1,1,1,1]`,
		"an invalid admitted flag": `[9,1,1,1,1,1,1,1,1,0,0,2,1,1,1]`,
		"an end beyond all time":   `[9223372036854776,1,1,1,1,1,1,1,1,0,0,1,1,1,1]`,
		"a difference that wraps":  `[9,-9223372036854775808,1,1,1,1,1,1,1,0,0,1,1,1,1]`,
	} {
		if new(tenants).readOp([]byte(line), &op) {
			t.Errorf("%s: takes %s for %+v", name, line, op)
		}
	}
}

func TestNames(t *testing.T) {
	for i := range outcomes {
		text, err := i.MarshalText()
		var back Outcome
		if err != nil || back.UnmarshalText(text) != nil || back != i || i.String() != string(text) || len(text) == 0 {
			t.Errorf("outcome %d: %q, %v, back as %d", i, text, err, back)
		}
	}
	for i := range classes {
		text, err := i.MarshalText()
		var back Class
		if err != nil || back.UnmarshalText(text) != nil || back != i || i.String() != string(text) || len(text) == 0 {
			t.Errorf("class %d: %q, %v, back as %d", i, text, err, back)
		}
	}
	if _, err := outcomes.MarshalText(); err == nil || outcomes.String() != "outcome(3)" {
		t.Errorf("an outcome that is none: %s, %v", outcomes, err)
	}
	if _, err := classes.MarshalText(); err == nil || classes.String() != "class(10)" {
		t.Errorf("a class that is none: %s, %v", classes, err)
	}
	var o Outcome
	var c Class
	if o.UnmarshalText([]byte("maybe")) == nil || c.UnmarshalText([]byte("")) == nil {
		t.Error("reads names that do not exist")
	}
}
