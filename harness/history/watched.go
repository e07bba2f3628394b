package history

// What is watched beside INFO, as it stands in a sample of the journal, and the probes.

type canaryLine struct {
	Dials       int64  `json:"dials"`
	Admitted    int64  `json:"admitted,omitempty"`
	Refused     int64  `json:"refused,omitempty"`
	Cut         int64  `json:"cut,omitempty"`
	Silent      int64  `json:"silent,omitempty"`
	Unreachable int64  `json:"unreachable,omitempty"`
	Words       string `json:"words,omitempty"`
	Error       string `json:"error,omitempty"`
}

type locksLine struct {
	Keys       int64  `json:"keys"`
	NoTTL      int64  `json:"no_ttl"`
	OldestIdle int64  `json:"oldest_idle_us"`
	Asked      int64  `json:"asked"`
	Partial    bool   `json:"partial,omitempty"`
	Looked     int64  `json:"looked,omitempty"`
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
	Did       string `json:"did"`
	Connected bool   `json:"connected"`
	Lines     int64  `json:"lines"`
	Matches   int64  `json:"matches"`
	Grants    int64  `json:"grants"`
	Releases  int64  `json:"releases"`
	Said      string `json:"said,omitempty"`
	Error     string `json:"error,omitempty"`
}

func encodeProbe(p Probe) ([]byte, error) {
	return encodeLine(otherLine{Probe: &probeLine{
		At: toMicros(p.At), Took: toMicros(p.Took), Name: p.Name, Did: p.Did, Connected: p.Connected,
		Lines: p.Lines, Matches: p.Matches, Grants: p.Grants, Releases: p.Releases, Said: p.Said, Error: p.Error,
	}})
}

func decodeProbe(l *probeLine) (p Probe, ok bool) {
	at, atOK := fromMicros(l.At)
	took, tookOK := fromMicros(l.Took)
	return Probe{
		At: at, Took: took, Name: l.Name, Did: l.Did, Connected: l.Connected,
		Lines: l.Lines, Matches: l.Matches, Grants: l.Grants, Releases: l.Releases, Said: l.Said, Error: l.Error,
	}, atOK && tookOK
}

// watched puts what a sample says beside the server's counters into its line.
func (l *sampleLine) watched(s Sample) {
	if c := s.Canary; c != nil {
		line := canaryLine(*c)
		l.Canary = &line
	}
	if k := s.Locks; k != nil {
		l.Locks = &locksLine{Keys: k.Keys, NoTTL: k.NoTTL, OldestIdle: toMicros(k.OldestIdle),
			Asked: k.Asked, Partial: k.Partial, Looked: k.Looked, Error: k.Error, IdleError: k.IdleError}
	}
	if m := s.Monitor; m != nil {
		l.Monitor = &monitorLine{From: toMicros(m.From), To: toMicros(m.To), Commands: m.Commands,
			Attempts: m.Attempts, Releases: m.Releases, Stuck: m.Stuck, StuckLock: m.StuckLock, Error: m.Error}
	}
}

// readWatched undoes watched.
func (l *sampleLine) readWatched(s *Sample) (ok bool) {
	ok = true
	if l.Canary != nil {
		c := Canary(*l.Canary)
		s.Canary = &c
	}
	if k := l.Locks; k != nil {
		idle, idleOK := fromMicros(k.OldestIdle)
		s.Locks = &Locks{Keys: k.Keys, NoTTL: k.NoTTL, OldestIdle: idle, Asked: k.Asked,
			Partial: k.Partial, Looked: k.Looked, Error: k.Error, IdleError: k.IdleError}
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
