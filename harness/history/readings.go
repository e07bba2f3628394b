package history

// Further readings in a sample besides INFO (canary, locks, MONITOR), and probes.

type canaryLine struct {
	Dials       int64  `json:"dials"`
	Admitted    int64  `json:"admitted,omitempty"`
	Refused     int64  `json:"refused,omitempty"`
	Cut         int64  `json:"cut,omitempty"`
	Silent      int64  `json:"silent,omitempty"`
	Unreachable int64  `json:"unreachable,omitempty"`
	LastRefusal string `json:"words,omitempty"`
	Error       string `json:"error,omitempty"`
}

type locksLine struct {
	Keys       int64  `json:"keys"`
	NoTTL      int64  `json:"no_ttl"`
	OldestIdle int64  `json:"oldest_idle_us"`
	Asked      int64  `json:"asked"`
	Partial    bool   `json:"partial,omitempty"`
	Scanned    int64  `json:"looked,omitempty"`
	Error      string `json:"error,omitempty"`
	IdleError  string `json:"idle_error,omitempty"`
}

type monitorLine struct {
	From      int64  `json:"from_us"`
	To        int64  `json:"to_us"`
	Commands  int64  `json:"commands"`
	Attempts  int64  `json:"attempts"`
	Releases  int64  `json:"releases"`
	Stuck     int64  `json:"stuck"`
	StuckLock string `json:"stuck_lock,omitempty"`
	Error     string `json:"error,omitempty"`
}

type probeLine struct {
	At        int64  `json:"at_us"`
	Took      int64  `json:"took_us"`
	Name      string `json:"name"`
	Command   string `json:"did"`
	Connected bool   `json:"connected"`
	Lines     int64  `json:"lines"`
	Matches   int64  `json:"matches"`
	Grants    int64  `json:"grants"`
	Releases  int64  `json:"releases"`
	Output    string `json:"said,omitempty"`
	Error     string `json:"error,omitempty"`
}

func encodeProbe(p Probe) ([]byte, error) {
	return encodeLine(objectLine{Probe: &probeLine{
		At: toMicros(p.At), Took: toMicros(p.Took), Name: p.Name, Command: p.Command, Connected: p.Connected,
		Lines: p.Lines, Matches: p.Matches, Grants: p.Grants, Releases: p.Releases, Output: p.Output, Error: p.Error,
	}})
}

func decodeProbe(l *probeLine) (p Probe, ok bool) {
	at, atOK := fromMicros(l.At)
	took, tookOK := fromMicros(l.Took)
	return Probe{
		At: at, Took: took, Name: l.Name, Command: l.Command, Connected: l.Connected,
		Lines: l.Lines, Matches: l.Matches, Grants: l.Grants, Releases: l.Releases, Output: l.Output, Error: l.Error,
	}, atOK && tookOK
}

// setReadings copies the readings of a sample other than the server's counters into its line.
func (l *sampleLine) setReadings(s Sample) {
	if c := s.Canary; c != nil {
		line := canaryLine(*c)
		l.Canary = &line
	}
	if k := s.Locks; k != nil {
		l.Locks = &locksLine{Keys: k.Keys, NoTTL: k.NoTTL, OldestIdle: toMicros(k.OldestIdle),
			Asked: k.Asked, Partial: k.Partial, Scanned: k.Scanned, Error: k.Error, IdleError: k.IdleError}
	}
	if m := s.Monitor; m != nil {
		l.Monitor = &monitorLine{From: toMicros(m.From), To: toMicros(m.To), Commands: m.Commands,
			Attempts: m.Attempts, Releases: m.Releases, Stuck: m.Stuck, StuckLock: m.StuckLock, Error: m.Error}
	}
}

// readings is the inverse of setReadings. It reports false for a time that does not fit into an
// offset.
func (l *sampleLine) readings(s *Sample) (ok bool) {
	ok = true
	if l.Canary != nil {
		c := Canary(*l.Canary)
		s.Canary = &c
	}
	if k := l.Locks; k != nil {
		idle, idleOK := fromMicros(k.OldestIdle)
		s.Locks = &Locks{Keys: k.Keys, NoTTL: k.NoTTL, OldestIdle: idle, Asked: k.Asked,
			Partial: k.Partial, Scanned: k.Scanned, Error: k.Error, IdleError: k.IdleError}
		ok = ok && idleOK
	}
	if m := l.Monitor; m != nil {
		from, fromOK := fromMicros(m.From)
		to, toOK := fromMicros(m.To)
		s.Monitor = &Monitor{From: from, To: to, Commands: m.Commands, Attempts: m.Attempts,
			Releases: m.Releases, Stuck: m.Stuck, StuckLock: m.StuckLock, Error: m.Error}
		ok = ok && fromOK && toOK
	}
	return ok
}
