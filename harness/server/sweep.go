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

	"github.com/moby/moby/client"
	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/sys/unix"
)

// Swept counts what a sweep has removed.
type Swept struct{ Runs, Processes, Containers, Folders int }

// errOwned says that a workspace's owner lives, or that another sweep is at it.
var errOwned = errors.New("owned")

// Sweep removes what runs left behind whose process is dead: their servers, containers and folders, and nothing else. A run
// is dead when the lock on its workspace can be taken. Folders of other users are left alone, and so are containers of other
// machines. Containers are passed over where Docker does not answer; that is an error only if a dead run had used Docker, and
// then its folder stays, for the next sweep.
//
// say is told of each thing that is removed; it may be nil. The counts hold what was removed even with an error.
func Sweep(ctx context.Context, say func(string)) (Swept, error) {
	if say == nil {
		say = func(string) {}
	}
	s := &sweep{say: say, runs: map[string]bool{}}
	if docker, err := dialDocker(ctx); err == nil {
		defer docker.Close()
		s.docker = docker
	} else {
		s.noDocker = err
	}
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), workspacePrefix+"*"))
	errs := []error{err}
	for _, folder := range folders {
		errs = append(errs, s.folder(ctx, folder))
	}
	errs = append(errs, s.strayContainers(ctx))
	s.swept.Runs = len(s.runs)
	if err := errors.Join(errs...); err != nil {
		return s.swept, fmt.Errorf("sweep: %w", err)
	}
	return s.swept, nil
}

// sweep is one sweep under way.
type sweep struct {
	say      func(string)
	docker   *client.Client // nil: Docker does not answer
	noDocker error
	runs     map[string]bool // the runs of which something was removed
	swept    Swept
}

// folder sweeps one folder if it is a workspace whose owner is dead.
func (s *sweep) folder(ctx context.Context, dir string) error {
	owner, run, err := takeOver(dir)
	if err != nil {
		return nil // not ours, another user's, or its owner lives
	}
	defer owner.Close() // only now may another sweep look at it
	record, err := readStarted(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if err := errors.Join(s.processes(ctx, dir, record.processes), s.containersOf(ctx, dir, record.containers)); err != nil {
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

// takeOver takes the lock of a workspace whose owner is dead and returns its run. It fails with errOwned where the owner
// lives, and with another error where the folder is no workspace or not ours to read.
func takeOver(dir string) (*os.File, string, error) {
	if err := oursAlone(dir); err != nil {
		return nil, "", err
	}
	owner, err := openPlain(filepath.Join(dir, ownerFile), os.O_RDWR)
	if err != nil {
		return nil, "", err
	}
	run, err := readOwner(owner)
	if err == nil && tryLock(owner) != nil {
		err = errOwned
	}
	if err == nil {
		err = stillThere(owner)
	}
	if err != nil {
		owner.Close()
		return nil, "", err
	}
	return owner, run, nil
}

// oursAlone makes sure that the folder is this user's. What stands in another user's folder names processes to be killed, and
// root would kill them.
func oursAlone(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return errors.New("not a folder of this user")
	}
	return nil
}

// openPlain opens a file that lockjam has written. What stands under its name in a folder for temporary files may be
// anything: a pipe would keep its reader waiting, and a link lead elsewhere.
func openPlain(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// maxOwner bounds what is read of an owner file, in bytes: three short lines.
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

// stillThere guards against a sweep that was faster: the lock of a file that is removed can be taken, and means nothing.
func stillThere(owner *os.File) error {
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

// processes kills what the workspace has started. The record names each process beyond doubt. It may lack one, if the run
// was killed between start and record, and its times may be off, if the clock was set since: so a server whose working
// folder lies in the workspace is one of its processes as well.
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
		// SIGKILL ends a process that is stopped, too.
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

// serversBelow returns the Redis and Valkey servers that work in a folder below dir. What it may not look into is left out.
func serversBelow(ctx context.Context, dir string) []int32 {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return nil
	}
	var pids []int32
	for _, p := range all {
		name, err := p.NameWithContext(ctx)
		if err != nil || !slices.Contains(serverBinaries, name) {
			continue
		}
		if folder, err := p.CwdWithContext(ctx); err == nil && strings.HasPrefix(folder, resolved+string(filepath.Separator)) {
			pids = append(pids, p.Pid)
		}
	}
	return pids
}

// awaitEnd waits until a process is gone.
func awaitEnd(ctx context.Context, pid int32) error {
	deadline := time.Now().Add(killGrace)
	for time.Now().Before(deadline) {
		if over(ctx, pid) {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("process %d is still there %v after SIGKILL", pid, killGrace)
}

// over reports whether a process is gone, or only waits for its parent to take note. Its port is free by then: the last of
// its threads closes it, and the first one may have ended before.
func over(ctx context.Context, pid int32) bool {
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

// containersOf removes the containers of one workspace.
func (s *sweep) containersOf(ctx context.Context, dir string, used bool) error {
	if s.docker == nil {
		if used {
			return fmt.Errorf("its containers cannot be removed: %w", s.noDocker)
		}
		return nil
	}
	return s.containers(ctx, client.Filters{}.Add("label", labelWorkspace+"="+dir), func(string, time.Time) bool { return true })
}

// strayContainers removes the containers whose workspace is gone, folder and all.
func (s *sweep) strayContainers(ctx context.Context) error {
	if s.docker == nil {
		return nil
	}
	return s.containers(ctx, client.Filters{}.Add("label", labelWorkspace), func(workspace string, created time.Time) bool {
		_, err := os.Lstat(workspace)
		return errors.Is(err, fs.ErrNotExist) && time.Since(created) > strayAge
	})
}

// strayAge is how old a container has to be before the lack of its workspace
// says that its run is dead. A run may live in a /tmp of its own, as services
// with PrivateTmp do, and use the same Docker: its workspace is not to be seen
// from here. Runs take minutes.
var strayAge = 24 * time.Hour // a variable for the tests alone

// containers removes the containers of this host that pass the filters and whose workspace is dead.
func (s *sweep) containers(ctx context.Context, filters client.Filters, dead func(workspace string, created time.Time) bool) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	filters = filters.Add("label", labelHost+"="+host).Add("label", labelRun)
	asking, cancel := Within(ctx, cleanupLimit)
	defer cancel()
	found, err := s.docker.ContainerList(asking, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return fmt.Errorf("list containers: %w", oneLine(err))
	}
	var errs []error
	for _, c := range found.Items {
		if !dead(c.Labels[labelWorkspace], time.Unix(c.Created, 0)) {
			continue
		}
		if err := removeContainer(ctx, s.docker, c.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		s.runs[c.Labels[labelRun]] = true
		s.swept.Containers++
		s.say(fmt.Sprintf("removed container %s of run %s", strings.TrimPrefix(slices.Concat(c.Names, []string{c.ID})[0], "/"), c.Labels[labelRun]))
	}
	return errors.Join(errs...)
}
