package history

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"
)

// MaxOps and MaxMemory bound the histories that are read. Journals compress so well that a few
// hundred kilobytes can hold more than fits into memory: 49 million equal operations take 212 KB.
// For comparison, all recordings of the whole catalogue have 0.1 million operations, and ten
// minutes at 10,000 decisions a second have 6 million.
const (
	MaxOps    = 10_000_000
	MaxMemory = 3 << 30 // bytes, for operations, samples, marks, censuses and probes together
)

// ErrTooLong means that a history has more than MaxOps operations or would take more than
// MaxMemory. Such a history counts as damaged: nothing of it is judged.
var ErrTooLong = errors.New("the history is too long")

// bounds is what remains for one journal that is being read.
type bounds struct{ ops, memory int64 }

var readBounds = bounds{ops: MaxOps, memory: MaxMemory} // a variable only for tests

// Approximate memory per line, in bytes.
const (
	opCost     = int64(unsafe.Sizeof(Op{}))
	objectCost = int64(unsafe.Sizeof(WorkerState{})) // the largest struct of which a line may have many empty {}
	entryCost  = 64                                  // of a map, excluding its text
)

// costOf estimates, before decoding, the memory of an object, excluding the entries of its maps.
func costOf(object []byte) int64 {
	objects := bytes.Count(object, []byte("{")) + bytes.Count(object, []byte("null"))
	return int64(len(object)) + objectCost*int64(objects)
}

// entries returns the number of map entries of an object.
func (l *objectLine) entries() int64 {
	switch {
	case l.Census != nil:
		return int64(len(l.Census.Locks) + len(l.Census.Clients))
	case l.Sample != nil && l.Sample.Server != nil:
		return int64(len(l.Sample.Server.Missing))
	}
	return 0
}

// spend deducts the cost of a line, and returns ErrTooLong once a bound is exceeded.
func (b *bounds) spend(ops, memory int64) error {
	b.ops -= ops
	b.memory -= memory
	switch {
	case b.ops < 0:
		return fmt.Errorf("%w: it has more than %d operations", ErrTooLong, readBounds.ops)
	case b.memory < 0:
		return fmt.Errorf("%w: it needs more than %d MiB of memory", ErrTooLong, readBounds.memory>>20)
	}
	return nil
}
