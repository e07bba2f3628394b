package history

// censusLine is a census in the journal. Workers are a list in it rather than lines of their own:
// there may be thousands, several times a second.
type censusLine struct {
	At      int64             `json:"at_us"`
	Took    int64             `json:"took_us"`
	Before  [3]int64          `json:"before"` // grants, releases, attempts
	After   [3]int64          `json:"after"`
	Workers []workerStateLine `json:"workers"`
	Locks   map[string]string `json:"locks,omitempty"`
	Clients map[string]int64  `json:"clients,omitempty"`
	Foreign []Foreign         `json:"foreign,omitempty"`
	Slots   int64             `json:"slots"`
	Error   string            `json:"error,omitempty"`
}

type workerStateLine struct {
	Worker    int32  `json:"worker"`
	State     string `json:"state"`
	Lock      string `json:"lock,omitempty"`
	Token     string `json:"token,omitempty"`
	Since     int64  `json:"since_us"`
	Client    string `json:"client,omitempty"`
	Connected int64  `json:"connected,omitempty"`
	Opened    int64  `json:"opened_us,omitempty"`
	Shared    bool   `json:"shared,omitempty"`
	Kept      bool   `json:"kept,omitempty"`
	KeptSince int64  `json:"kept_since_us,omitempty"`

	Other      string `json:"other,omitempty"`
	OtherSince int64  `json:"other_since_us,omitempty"`
	Outer      bool   `json:"outer,omitempty"`
	OuterSince int64  `json:"outer_since_us,omitempty"`

	Refused      string `json:"refused,omitempty"`
	RefusedSince int64  `json:"refused_since_us,omitempty"`
}

func (p Progress) array() [3]int64 { return [3]int64{p.Grants, p.Releases, p.Attempts} }

func progressOf(a [3]int64) Progress { return Progress{Grants: a[0], Releases: a[1], Attempts: a[2]} }

func encodeCensus(c Census) ([]byte, error) {
	l := censusLine{
		At: toMicros(c.At), Took: toMicros(c.Took), Before: c.Before.array(), After: c.After.array(),
		Locks: c.Locks, Clients: c.Clients, Foreign: c.Foreign, Slots: c.Slots, Error: c.Error,
		Workers: make([]workerStateLine, len(c.Workers)),
	}
	for i, w := range c.Workers {
		l.Workers[i] = workerStateLine{
			Worker: w.Worker, State: w.State, Lock: w.Lock, Token: w.Token, Since: toMicros(w.Since),
			Client: w.Client, Connected: w.Connected, Opened: toMicros(w.Opened), Shared: w.Shared,
			Kept: w.Kept, KeptSince: toMicros(w.KeptSince), Outer: w.Outer, OuterSince: toMicros(w.OuterSince),
			Other: w.Other, OtherSince: toMicros(w.OtherSince),
			Refused: w.Refused, RefusedSince: toMicros(w.RefusedSince),
		}
	}
	return encodeLine(objectLine{Census: &l})
}

func decodeCensus(l *censusLine) (c Census, ok bool) {
	at, atOK := fromMicros(l.At)
	took, tookOK := fromMicros(l.Took)
	c = Census{
		At: at, Took: took, Before: progressOf(l.Before), After: progressOf(l.After),
		Locks: l.Locks, Clients: l.Clients, Foreign: l.Foreign, Slots: l.Slots, Error: l.Error,
		Workers: make([]WorkerState, len(l.Workers)),
	}
	ok = atOK && tookOK
	for i, w := range l.Workers {
		since, sinceOK := fromMicros(w.Since)
		opened, openedOK := fromMicros(w.Opened)
		kept, keptOK := fromMicros(w.KeptSince)
		outer, outerOK := fromMicros(w.OuterSince)
		other, otherOK := fromMicros(w.OtherSince)
		refused, refusedOK := fromMicros(w.RefusedSince)
		ok = ok && sinceOK && openedOK && keptOK && outerOK && otherOK && refusedOK
		c.Workers[i] = WorkerState{
			Worker: w.Worker, State: w.State, Lock: w.Lock, Token: w.Token, Since: since,
			Client: w.Client, Connected: w.Connected, Opened: opened, Shared: w.Shared,
			Kept: w.Kept, KeptSince: kept, Outer: w.Outer, OuterSince: outer, Other: w.Other, OtherSince: other,
			Refused: w.Refused, RefusedSince: refused,
		}
	}
	return c, ok
}
