// Package machine distinguishes errors of the operating system from others: a full disk, a reached
// limit or an unreachable network are not the program's mistake.
package machine

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// Says reports whether an error comes from a system call, on a file, a process or a connection.
func Says(err error) bool {
	var (
		path  *fs.PathError
		link  *os.LinkError
		call  *os.SyscallError
		errno syscall.Errno
		dial  *net.OpError
	)
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) ||
		errors.As(err, &errno) || errors.As(err, &dial)
}

// shortages lists the errors of a machine that has run out of a resource, with advice for each.
var shortages = []struct {
	errno  syscall.Errno
	advice string
}{
	{syscall.EMFILE, "raise the limit of open files (ulimit -n)"},
	{syscall.ENFILE, "raise the limit of open files of the whole machine (sysctl fs.file-max)"},
	{syscall.EADDRNOTAVAIL, "no free local port is left: run fewer workers"},
	{syscall.ENOSPC, "free space on that disk"},
	{syscall.EDQUOT, "free space within the quota of that disk, or raise it"},
	{syscall.EFBIG, "raise the limit of the file size (ulimit -f)"},
	{syscall.EIO, "that disk is faulty"},
	{syscall.ENOMEM, "free memory"},
}

// Short reports whether an error means that this machine has run out of a resource.
func Short(err error) bool {
	_, short := find(err)
	return short
}

// Advice returns what to do about a shortage; "" if the error is not one.
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
