//go:build unix

package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/sys/unix"
)

const (
	workspacePrefix = "lockjam-"
	ownerFile       = "owner"
	startedFile     = "started"

	// ownerMagic is the first line of an owner file. A folder without it is not ours, whatever it is called.
	ownerMagic = "lockjam workspace v1"
)

// Workspace is the folder that owns what a run starts. A lock on its owner file is held for as long as this process lives:
// the kernel drops it when the process dies, however it dies, and [Sweep] takes that as the sign that nobody owns the rest.
//
// In the file "started" stand the processes, one per line: "process PID CREATE-TIME-MS", and "container" once Docker was used.
type Workspace struct {
	runID string
	dir   string
	owner *os.File

	mu      sync.Mutex          // the arms of a run share a workspace
	servers map[string]struct{} // those that were started and not stopped
}

// NewWorkspace makes the folder lockjam-<run id>-XXXX in the folder for temporary files.
func NewWorkspace(runID string) (*Workspace, error) {
	if runID == "" || runID != safeName(runID) {
		return nil, fmt.Errorf("make a workspace: the run id %q has to consist of letters, digits, dots, dashes and underscores", runID)
	}
	dir, err := os.MkdirTemp("", workspacePrefix+runID+"-*")
	if err != nil {
		return nil, Unusable(fmt.Errorf("cannot make a folder for temporary files: %w: set TMPDIR to a folder that can be written to", err))
	}
	owner, err := makeOwnerFile(dir, runID)
	if err != nil {
		return nil, errors.Join(Unusable(fmt.Errorf("make the workspace %s: %w", dir, err)), os.RemoveAll(dir))
	}
	return &Workspace{runID: runID, dir: dir, owner: owner, servers: map[string]struct{}{}}, nil
}

// makeOwnerFile locks the file before it gets the name that Sweep looks for, so that no sweep ever sees it unlocked.
func makeOwnerFile(dir, runID string) (*os.File, error) {
	nascent := filepath.Join(dir, ownerFile+".new")
	owner, err := os.OpenFile(nascent, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = tryLock(owner)
	if err == nil {
		_, err = fmt.Fprintf(owner, "%s\nrun %s\npid %d\n", ownerMagic, runID, os.Getpid())
	}
	if err == nil {
		err = os.Rename(nascent, filepath.Join(dir, ownerFile))
	}
	if err != nil {
		return nil, errors.Join(err, owner.Close())
	}
	return owner, nil
}

// tryLock takes the lock of a file unless somebody else, in this process or another, holds it: then it returns
// unix.EWOULDBLOCK. Closing the file gives the lock back.
func tryLock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// Dir returns the folder. Whatever is put into it is removed by Close.
func (w *Workspace) Dir() string { return w.dir }

// RunID returns the run that the workspace belongs to.
func (w *Workspace) RunID() string { return w.runID }

// Close removes the folder. It fails, and leaves everything for a later Close or Sweep, while a server in it is not stopped.
// Closing it again does nothing.
func (w *Workspace) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.owner == nil {
		return nil
	}
	if left := slices.Sorted(maps.Keys(w.servers)); len(left) > 0 {
		return fmt.Errorf("close the workspace %s: not stopped: %s", w.dir, strings.Join(left, ", "))
	}
	// The folder goes first: a folder that nobody has locked is prey for another lockjam's sweep.
	err := os.RemoveAll(w.dir)
	err = errors.Join(err, w.owner.Close())
	w.owner = nil
	if err != nil {
		return fmt.Errorf("close the workspace %s: %w", w.dir, err)
	}
	return nil
}

// enter takes note of a server that is about to be started; leave, that nothing of it is left.
func (w *Workspace) enter(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[server] = struct{}{}
}

func (w *Workspace) leave(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.servers, server)
}

// folder makes a folder for one server, named after it.
func (w *Workspace) folder(name string) (string, error) {
	dir, err := os.MkdirTemp(w.dir, safeName(name)+"-*")
	if err != nil {
		return "", fmt.Errorf("make a folder for server %s: %w", name, err)
	}
	return dir, nil
}

// safeName replaces what must not stand in the name of a folder or container.
func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, name)
}

// startedProcess identifies a process for good: a pid alone is used again.
type startedProcess struct {
	pid        int32
	createTime int64 // milliseconds since 1970, as gopsutil reports it
}

// runs reports whether this very process is there and has not ended. One that has ended and waits for its parent is over.
func (p startedProcess) runs() bool {
	found, err := process.NewProcess(p.pid)
	if err != nil {
		return false
	}
	created, err := found.CreateTime()
	if err != nil || created != p.createTime {
		return false
	}
	states, err := found.Status()
	return err != nil || !slices.Contains(states, process.Zombie)
}

// recordProcess writes a started process down.
func (w *Workspace) recordProcess(pid int) error {
	found, err := process.NewProcess(int32(pid))
	if err != nil {
		return fmt.Errorf("record process %d: %w", pid, err)
	}
	created, err := found.CreateTime()
	if err != nil {
		return fmt.Errorf("record process %d: %w", pid, err)
	}
	return w.record(fmt.Sprintf("process %d %d", pid, created))
}

// recordContainers writes down that Docker is used, so that a sweep without Docker knows what it misses.
func (w *Workspace) recordContainers() error { return w.record("container") }

// record appends one line. It need not reach the disk: what it speaks of does not outlive a crash of the machine either.
func (w *Workspace) record(line string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(w.dir, startedFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("record what was started: %w", err)
	}
	_, err = f.WriteString(line + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("record what was started: %w", err)
	}
	return nil
}

// started is what stands in the file of that name.
type started struct {
	processes  []startedProcess
	containers bool
}

// maxStarted bounds what is read of a file "started", in bytes: 100,000 processes have less.
const maxStarted = 4 << 20

// readStarted reads what a workspace has started. A line that was cut off by a crash is left out.
func readStarted(dir string) (started, error) {
	var s started
	f, err := openPlain(filepath.Join(dir, startedFile), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxStarted))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 1 && fields[0] == "container":
			s.containers = true
		case len(fields) == 3 && fields[0] == "process":
			pid, pidErr := strconv.ParseInt(fields[1], 10, 32)
			created, createdErr := strconv.ParseInt(fields[2], 10, 64)
			if pidErr == nil && createdErr == nil {
				s.processes = append(s.processes, startedProcess{pid: int32(pid), createTime: created})
			}
		}
	}
	return s, lines.Err()
}
