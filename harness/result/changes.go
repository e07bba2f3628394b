package result

// Change is an arm of which more is known, or something else is said, than when it was
// judged before; or one that could not be judged again, of which nothing changes.
type Change struct {
	Was, Now Arm
	Lost     error // why it could not: what was recorded of it is not there, or cannot be read
}

// Turned reports whether it is more than figures that changed.
func (c Change) Turned() bool {
	return c.Was.Outcome != c.Now.Outcome || c.Was.Verdict != c.Now.Verdict || c.Was.Unsafe != c.Now.Unsafe
}

// Margin is a number of a scenario's that decided narrowly: with a value a little
// off, arms that passed would not have.
type Margin struct {
	Scenario, Arm, Image string
	Key                  string  // the number's, as in the scenario file: "cure.ratio"
	From, To             float64 // what it is, and what it would be
	Outcome              Outcome // that the arm would have then, and why
	Reason               string
	Turned, Of           int // so many of the arm's repeats that passed
}
