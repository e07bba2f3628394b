package history

import "time"

// Span is a stretch of a run, [from, to).
type Span struct{ From, To time.Duration }

func (s Span) Holds(at time.Duration) bool { return at >= s.From && at < s.To }

func (s Span) Empty() bool { return s.To <= s.From }
