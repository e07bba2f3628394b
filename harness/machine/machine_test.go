package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestSays(t *testing.T) {
	_, missing := os.Open(filepath.Join(t.TempDir(), "none"))
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	renamed := os.Rename(filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "other"))
	manyFiles := &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	for _, c := range []struct {
		name        string
		err         error
		says, short bool
	}{
		{"a missing file", missing, true, false},
		{"a refused connection", fmt.Errorf("dial: %w", refused), true, false},
		{"a rename that fails", renamed, true, false},
		{"a full disk", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, true, true},
		{"too many open files", errors.Join(errors.New("x"), manyFiles), true, true},
		{"an error of the program's own", errors.New("no trigger is called x"), false, false},
		{"no error", nil, false, false},
	} {
		if says, short := Says(c.err), Short(c.err); says != c.says || short != c.short ||
			short != (Advice(c.err) != "") {
			t.Errorf("%s: says %t, short %t, advice %q", c.name, says, short, Advice(c.err))
		}
	}
}
