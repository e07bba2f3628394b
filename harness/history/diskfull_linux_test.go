package history

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func openFull(t *testing.T) *os.File {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	return full
}

func TestDiskFullFromTheStart(t *testing.T) {
	_, err := record(openFull(t), Header{}, maxChunks)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/dev/full") {
		t.Error(err)
	}
}

// The kernel returns ENOSPC from the middle of the run on: /dev/full replaces the journal's file.
func TestDiskFullInTheMiddle(t *testing.T) {
	full := openFull(t)
	defer full.Close()
	r, path := create(t)
	r.Op(Op{Worker: 1, Fence: 1, Ended: time.Second})
	for written := int64(0); written == 0; time.Sleep(10 * time.Millisecond) {
		r.mu.Lock()
		written = r.written
		r.mu.Unlock()
	}
	if err := syscall.Dup3(int(full.Fd()), int(r.journal.file.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r.Op(Op{Worker: int32(i), Ended: 2 * time.Second})
	}
	select {
	case <-r.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("a full disk goes unnoticed")
	}
	r.Op(Op{})
	r.Sample(Sample{})
	for range 2 {
		err := r.Close()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), "(3 operations not written, 2 records refused)") {
			t.Error(err)
		}
	}
	// Operations written before the error are still readable.
	if h := load(t, path); !h.Truncated || len(h.Ops) != 1 || h.Ops[0].Fence != 1 {
		t.Errorf("truncated %t, %+v", h.Truncated, h.Ops)
	}
}

// The end of the journal may be the part that does not fit.
func TestDiskFullAtTheEnd(t *testing.T) {
	full := openFull(t)
	defer full.Close()
	r, path := create(t)
	if err := syscall.Dup3(int(full.Fd()), int(r.journal.file.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if h := load(t, path); !h.Truncated {
		t.Error("the end is missing, and the journal does not say so")
	}
}
