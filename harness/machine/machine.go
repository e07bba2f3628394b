// Package machine tells errors of the operating system from others: a disk that is full, a limit
// that is reached, a network that does not answer are no fault of the program that meets them.
package machine

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// Says reports whether an error is the operating system's answer to a call, on a file, a process or a connection.
func Says(err error) bool {
	var (
		path  *fs.PathError
		link  *os.LinkError
		call  *os.SyscallError
		errno syscall.Errno
		dial  *net.OpError
	)
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || errors.As(err, &errno) || errors.As(err, &dial)
}

// shortages are the errors of a machine that has run out of something, with what to do about each.
var shortages = []struct {
	errno  syscall.Errno
	advice string
}{
	{syscall.EMFILE, "raise the limit of open files (ulimit -n)"},
	{syscall.ENFILE, "raise the limit of open files of the whole machine (sysctl fs.file-max)"},
	{syscall.EADDRNOTAVAIL, "no local port is left: run fewer workers"},
	{syscall.ENOSPC, "make room on that disk"},
	{syscall.EDQUOT, "make room within the quota of that disk"},
	{syscall.EFBIG, "raise the limit of the size of files (ulimit -f)"},
	{syscall.EIO, "that disk is broken"},
	{syscall.ENOMEM, "make room in memory"},
}

// Short reports whether an error says that this machine has run out of something that a run takes.
func Short(err error) bool {
	_, short := find(err)
	return short
}

// Advice says what to do about such a shortage; "" where the error is none.
func Advice(err error) string {
	advice, _ := find(err)
	return advice
}

func find(err error) (advice string, short bool) {
	for _, s := range shortages {
		if errors.Is(err, s.errno) {
			return s.advice, true
		}
	}
	return "", false
}
