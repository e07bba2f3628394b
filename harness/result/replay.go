package result

// Replay is what looks would have made of an arm whose phases took the scenario's time.
type Replay struct {
	Scenario, Arm, Image string
	Repeat               int

	Full, Early             Verdict // of the whole time, and of the look that decides
	FullUnsafe, EarlyUnsafe bool
	Because                 string  // the early verdict in a sentence
	Looks                   int64   // that it took; 0 if none decides before the end
	SavedMS                 float64 // of the phase
}

// Agrees reports whether the looks come to the same verdict.
func (r Replay) Agrees() bool { return r.Full == r.Early && r.FullUnsafe == r.EarlyUnsafe }
