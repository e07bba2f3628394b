//go:build unix

package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/sys/unix"
)

// KillGrace bounds the time that the kernel may take to end a process after SIGKILL.
const KillGrace = 5 * time.Second

// Swept counts what a sweep has removed.
type Swept struct{ Runs, Processes, Containers, Folders int }

// Containers removes the containers of dead runs. Package container implements it, so that this
// package does not depend on Docker. Both methods call removed for each container, with its name
// and run.
type Containers interface {
	// RemoveOf removes the containers of one workspace.
	RemoveOf(ctx context.Context, workspace string, removed func(name, run string)) error

	// RemoveStrays removes the containers whose workspace no longer exists.
	RemoveStrays(ctx context.Context, removed func(name, run string)) error

	Close() error
}

// errOwned reports that a workspace's owner is alive, or that another sweep has locked the
// workspace.
var errOwned = errors.New("owned")

// Sweep removes what dead runs left behind: their servers, containers and folders, and nothing
// else. A run is dead if the lock on its workspace can be taken. Folders of other users and
// containers of other machines are left alone. If open fails, because Docker does not answer,
// containers are skipped. That is an error only if a dead run had used Docker; its folder then
// stays for the next sweep.
//
// Sweep reports each removal to say, which may be nil. The counts are correct even with an error.
func Sweep(ctx context.Context, open func(context.Context) (Containers, error), say func(string)) (Swept, error) {
	if say == nil {
		say = func(string) {}
	}
	s := &sweep{say: say, runs: map[string]bool{}}
	if s.containers, s.noContainers = open(ctx); s.noContainers == nil {
		defer s.containers.Close()
	}
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), workspacePrefix+"*"))
	errs := []error{err}
	for _, folder := range folders {
		errs = append(errs, s.folder(ctx, folder))
	}
	if s.noContainers == nil {
		errs = append(errs, s.containers.RemoveStrays(ctx, s.removedContainer))
	}
	s.swept.Runs = len(s.runs)
	if err := errors.Join(errs...); err != nil {
		return s.swept, fmt.Errorf("sweep: %w", err)
	}
	return s.swept, nil
}

// sweep is the state of one sweep.
type sweep struct {
	say          func(string)
	containers   Containers
	noContainers error           // why containers cannot be removed
	runs         map[string]bool // the runs of which something was removed
	swept        Swept
}

// folder sweeps one folder if it is a workspace whose owner is dead.
func (s *sweep) folder(ctx context.Context, dir string) error {
	owner, run, err := takeOver(dir)
	if err != nil {
		return nil // not a workspace, another user's, or its owner is alive
	}
	defer owner.Close() // keeps other sweeps out until the end
	record, err := readStarted(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	err = errors.Join(s.processes(ctx, dir, record.processes), s.containersOf(ctx, dir, record.containers))
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	s.runs[run] = true
	s.swept.Folders++
	s.say("removed folder " + dir)
	return nil
}

// takeOver takes the lock of a workspace whose owner is dead and returns its run. It fails with
// errOwned if the owner is alive, and with another error if the folder is not a workspace of this
// user.
func takeOver(dir string) (*os.File, string, error) {
	if err := ownedByUser(dir); err != nil {
		return nil, "", err
	}
	owner, err := openRegular(filepath.Join(dir, ownerFile), os.O_RDWR)
	if err != nil {
		return nil, "", err
	}
	run, err := readOwner(owner)
	if err == nil && tryLock(owner) != nil {
		err = errOwned
	}
	if err == nil {
		err = checkNotRemoved(owner)
	}
	if err != nil {
		owner.Close()
		return nil, "", err
	}
	return owner, run, nil
}

// ownedByUser checks that the folder belongs to this user: another user's folder could name any
// process, and root would kill it.
func ownedByUser(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return errors.New("not a folder of this user")
	}
	return nil
}

// openRegular opens a file that lockjam has written. In a folder for temporary files its name may
// belong to anything: a pipe would block its reader, and a link would lead elsewhere.
func openRegular(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// maxOwner bounds how much of an owner file is read, in bytes. It has three short lines.
const maxOwner = 64 << 10

// readOwner returns the run that an owner file names.
func readOwner(owner *os.File) (string, error) {
	lines := bufio.NewScanner(io.LimitReader(owner, maxOwner))
	if !lines.Scan() || lines.Text() != ownerMagic {
		return "", errors.New("not a workspace of lockjam")
	}
	run := "unknown"
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "run "); ok {
			run = name
		}
	}
	return run, lines.Err()
}

// checkNotRemoved guards against a faster sweep: the lock of a removed file can still be taken, and
// means nothing.
func checkNotRemoved(owner *os.File) error {
	held, err := owner.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(owner.Name())
	if err != nil {
		return err
	}
	if !os.SameFile(held, named) {
		return errOwned
	}
	return nil
}

// processes kills the processes that the workspace has started. The record identifies each process.
// It lacks one if the run was killed between start and record, and its times are wrong if the clock
// was set since. So every server whose working folder lies in the workspace counts as well.
func (s *sweep) processes(ctx context.Context, dir string, recorded []startedProcess) error {
	pids := map[int32]bool{}
	for _, p := range recorded {
		if p.runs() {
			pids[p.pid] = true
		}
	}
	for _, pid := range serversBelow(ctx, dir) {
		pids[pid] = true
	}
	var errs []error
	for pid := range pids {
		// SIGKILL also ends a stopped process.
		if err := unix.Kill(int(pid), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("kill process %d: %w", pid, err))
			continue
		}
		if err := awaitEnd(ctx, pid); err != nil {
			errs = append(errs, err)
			continue
		}
		s.swept.Processes++
		s.say(fmt.Sprintf("killed process %d of %s", pid, dir))
	}
	return errors.Join(errs...)
}

// serversBelow returns the Redis and Valkey servers whose working folder lies below dir. Processes
// that it may not inspect are left out.
func serversBelow(ctx context.Context, dir string) []int32 {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	below := resolved + string(filepath.Separator)
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return nil
	}
	var pids []int32
	for _, p := range all {
		name, err := p.NameWithContext(ctx)
		if err != nil || !slices.Contains(Binaries, name) {
			continue
		}
		if folder, err := p.CwdWithContext(ctx); err == nil && strings.HasPrefix(folder, below) {
			pids = append(pids, p.Pid)
		}
	}
	return pids
}

// awaitEnd waits until a process has ended.
func awaitEnd(ctx context.Context, pid int32) error {
	deadline := time.Now().Add(KillGrace)
	for time.Now().Before(deadline) {
		if hasEnded(ctx, pid) {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("process %d still exists %v after SIGKILL", pid, KillGrace)
}

// hasEnded reports whether a process has ended, waited for by its parent or not. Its port is free
// by then: the last of its threads closes it, and the first one may have ended before.
func hasEnded(ctx context.Context, pid int32) bool {
	found, err := process.NewProcessWithContext(ctx, pid)
	if err != nil {
		return errors.Is(err, process.ErrorProcessNotRunning)
	}
	states, err := found.StatusWithContext(ctx)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	threads, err := found.NumThreadsWithContext(ctx)
	return slices.Contains(states, process.Zombie) && (err != nil || threads <= 1)
}

// containersOf removes the containers of one workspace. used is whether its run has used Docker.
func (s *sweep) containersOf(ctx context.Context, dir string, used bool) error {
	switch {
	case s.noContainers == nil:
		return s.containers.RemoveOf(ctx, dir, s.removedContainer)
	case used:
		return fmt.Errorf("its containers cannot be removed: %w", s.noContainers)
	}
	return nil
}

func (s *sweep) removedContainer(name, run string) {
	s.runs[run] = true
	s.swept.Containers++
	s.say(fmt.Sprintf("removed container %s of run %s", name, run))
}
