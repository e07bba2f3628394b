package result

import (
	"cmp"
	"errors"
	"slices"
)

var (
	// ErrInternal is a fault of lockjam's own. What the user, Redis or the machine
	// can bring about is another error; see faultOf.
	ErrInternal = errors.New("internal error")
	// ErrCleanup says that something that was started could not be removed.
	ErrCleanup = errors.New("could not clean up")
	// ErrUsage says that what was asked for does not exist.
	ErrUsage = errors.New("usage")
)

// Worse is the outcome of two together: a failure is one whatever else is open.
func Worse(a, b Outcome) Outcome {
	rank := map[Outcome]int{Pass: 0, Inconclusive: 1, Fail: 2}
	return slices.MaxFunc([]Outcome{a, b}, func(x, y Outcome) int { return cmp.Compare(rank[x], rank[y]) })
}
