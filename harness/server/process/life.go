//go:build unix

package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/node"
)

// program is a server program and the folder that it works in.
type program struct {
	binary string
	flags  []string // after redis.conf on its command line
	dir    string   // redis.conf, the log, and the files that the server saves
}

// configure writes redis.conf with the directives that the starter adds. Paths in it are relative
// to the folder that the process starts in.
func (p program) configure(c server.Config, port int) error {
	c = c.With(server.Config{
		"bind": "127.0.0.1", "port": strconv.Itoa(port), "dir": "./", "daemonize": "no", "supervised": "no",
		"logfile": `""`,
	})
	return replaceFile(filepath.Join(p.dir, "redis.conf"), c.File())
}

// exec starts the process in a process group of its own: Ctrl-C in the terminal reaches only
// lockjam, which then stops its servers in order.
func (p program) exec() (*life, error) {
	log, err := os.OpenFile(p.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own descriptor
	logStart, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	command := exec.Command(p.binary, append([]string{"redis.conf"}, p.flags...)...)
	command.Dir = p.dir
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	l := &life{command: command, done: make(chan struct{}), log: p.logPath(), logStart: logStart}
	go func() {
		defer close(l.done)
		_ = command.Wait() // the log and command.ProcessState record how it ended
	}()
	return l, nil
}

func (p program) logPath() string { return filepath.Join(p.dir, "redis.log") }

// life is one process, from its start to its end.
type life struct {
	command  *exec.Cmd
	done     chan struct{} // closed once the process has ended and was waited for
	log      string        // path
	logStart int64         // the offset of this life's part of the log, in bytes
}

// pid is also the number of the process group.
func (l *life) pid() int { return l.command.Process.Pid }

// output returns this life's part of the log, for messages. An unreadable part is left out.
func (l *life) output() []byte {
	output, _ := readTail(l.log, l.logStart)
	return output
}

// ended reports whether the process ends within the limit, and before the context does.
func (l *life) ended(ctx context.Context, limit time.Duration) bool {
	select {
	case <-l.done:
		return true
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-l.done:
		return true
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
}

// died returns an error with the reason from the log once the process has ended.
func (l *life) died(ctx context.Context, port int) error {
	if !l.ended(ctx, 0) {
		return nil
	}
	output := l.output()
	if bytes.Contains(output, []byte("Address already in use")) {
		return node.PortTaken(port)
	}
	return &server.Ended{How: l.command.ProcessState.String(), Words: server.LastWords(output)}
}

// kill sends a signal to the process group.
func (l *life) kill(sig syscall.Signal) error { return syscall.Kill(-l.pid(), sig) }

// stop sends the signal, waits for at most grace, or until the context ends, and then sends
// SIGKILL. It returns once the process has ended; it is no error if the process had ended before.
func (l *life) stop(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	if l.ended(context.Background(), 0) {
		return nil
	}
	_ = l.kill(sig)
	_ = l.kill(syscall.SIGCONT) // a stopped process handles no signal but SIGKILL
	if l.ended(ctx, grace) {
		return nil
	}
	_ = l.kill(syscall.SIGKILL)
	if !l.ended(context.Background(), server.KillGrace) {
		return fmt.Errorf("process %d still exists %v after SIGKILL", l.pid(), server.KillGrace)
	}
	return nil
}

// terminate sends SIGTERM and waits until the process has ended, or until its log reports that it
// will not end, which is an ErrWillNotStop. It also returns nil if neither happens within the time
// allowed.
func (l *life) terminate(ctx context.Context) error {
	info, err := os.Stat(l.log)
	if err != nil {
		return err
	}
	if l.ended(context.Background(), 0) {
		return nil
	}
	_ = l.kill(syscall.SIGTERM)
	_ = l.kill(syscall.SIGCONT) // a stopped process handles no signal but SIGKILL
	for end := time.Now().Add(node.Remaining(ctx, node.TermGrace)); ctx.Err() == nil && time.Now().Before(end); {
		if l.ended(ctx, min(node.LogInterval, time.Until(end))) {
			return nil
		}
		if output, err := readTail(l.log, info.Size()); err == nil && server.RefusalToStop(output) != "" {
			return fmt.Errorf("%w: %s", server.ErrWillNotStop, server.RefusalToStop(output))
		}
	}
	return nil
}

// pause stops the process and waits until it has stopped: it may still answer a command or two
// while the signal is on its way.
func (l *life) pause(ctx context.Context) error {
	if err := l.kill(syscall.SIGSTOP); err != nil {
		return err
	}
	for range 100 {
		if l.paused() {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("process %d has not stopped", l.pid())
}

func (l *life) paused() bool {
	found, err := process.NewProcess(int32(l.pid()))
	if err != nil {
		return false
	}
	states, err := found.Status()
	return err == nil && slices.Contains(states, process.Stop)
}

// leads reports whether a process belongs to the group of this one: redis-server on PATH may be a
// script that starts the real server.
func (l *life) leads(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return err == nil && group == l.pid()
}

// replaceFile replaces a file atomically.
func replaceFile(path string, content []byte) error {
	nascent := path + ".new"
	if err := os.WriteFile(nascent, content, 0o600); err != nil {
		return err
	}
	return os.Rename(nascent, path)
}

// readTail reads a file from an offset on, but at most its last node.LogLimit bytes.
func readTail(path string, from int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	from = max(from, size-node.LogLimit)
	return io.ReadAll(io.NewSectionReader(f, from, size-from))
}
