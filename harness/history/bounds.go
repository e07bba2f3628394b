package history

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"
)

// MaxOps and MaxMemory bound the history that is read. A journal packs so well that one of a few hundred kilobytes may hold more than memory does: 49 million equal operations take 212 KB. Of what lockjam records itself, the whole catalogue has 0.1 million operations, and ten minutes at 10,000 decisions a second have 6 million.
const (
	MaxOps    = 10_000_000
	MaxMemory = 3 << 30 // bytes, of operations, samples, marks, censuses and probes together
)

// ErrTooLong says that a history has more than MaxOps operations, or would take more than MaxMemory. It counts as damaged: nothing of it is judged.
var ErrTooLong = errors.New("the history is too long")

// bounds are on one journal that is read.
type bounds struct{ ops, memory int64 }

var readBounds = bounds{ops: MaxOps, memory: MaxMemory} // a variable for the tests alone

// What a line takes in memory, in bytes, about.
const (
	opCost     = int64(unsafe.Sizeof(Op{}))
	objectCost = int64(unsafe.Sizeof(Stance{})) // the largest that an empty {} becomes many of
	entryCost  = 64                             // of a map, besides its text
)

// costOf is known before an object is decoded, but for the entries of its maps.
func costOf(object []byte) int64 {
	objects := bytes.Count(object, []byte("{")) + bytes.Count(object, []byte("null"))
	return int64(len(object)) + objectCost*int64(objects)
}

// entries counts those of the maps of an object.
func (l *otherLine) entries() int64 {
	switch {
	case l.Census != nil:
		return int64(len(l.Census.Locks) + len(l.Census.Clients))
	case l.Sample != nil && l.Sample.Server != nil:
		return int64(len(l.Sample.Server.Missing))
	}
	return 0
}

// spend counts what a line takes, and returns an error once it is too much.
func (b *bounds) spend(ops, memory int64) error {
	b.ops -= ops
	b.memory -= memory
	switch {
	case b.ops < 0:
		return fmt.Errorf("%w: lockjam reads at most %d operations", ErrTooLong, readBounds.ops)
	case b.memory < 0:
		return fmt.Errorf("%w: lockjam reads what takes at most %d MiB of memory", ErrTooLong, readBounds.memory>>20)
	}
	return nil
}
