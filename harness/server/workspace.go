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

	// ownerMagic is the first line of an owner file. A folder without it is not a workspace,
	// whatever its name.
	ownerMagic = "lockjam workspace v1"
)

// Workspace is the folder that owns everything that a run starts. This process holds a lock on the
// owner file for as long as it lives. The kernel releases the lock when the process dies, however
// it dies, which tells [Sweep] that the run is dead.
//
// The file "started" records the processes, one per line: "process PID CREATE-TIME-MS", and
// "container" once Docker was used.
type Workspace struct {
	runID string
	dir   string
	owner *os.File

	mu      sync.Mutex          // because the arms of a run share a workspace
	servers map[string]struct{} // started and not stopped
}

// NewWorkspace creates the folder lockjam-<run id>-XXXX in the folder for temporary files.
func NewWorkspace(runID string) (*Workspace, error) {
	if runID == "" || runID != SafeName(runID) {
		return nil, fmt.Errorf("create a workspace: the run id %q may contain only "+
			"letters, digits, dots, dashes and underscores", runID)
	}
	dir, err := os.MkdirTemp("", workspacePrefix+runID+"-*")
	if err != nil {
		err = fmt.Errorf("cannot create a folder for temporary files: %w: set TMPDIR to a writable folder", err)
		return nil, Unusable(err)
	}
	owner, err := makeOwnerFile(dir, runID)
	if err != nil {
		return nil, errors.Join(Unusable(fmt.Errorf("create the workspace %s: %w", dir, err)), os.RemoveAll(dir))
	}
	return &Workspace{runID: runID, dir: dir, owner: owner, servers: map[string]struct{}{}}, nil
}

// makeOwnerFile locks the file before renaming it to the name that Sweep looks for, so that no
// sweep sees it unlocked.
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

// tryLock locks a file. It returns unix.EWOULDBLOCK if the lock is held already, in this process or
// another. Closing the file releases the lock.
func tryLock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// Dir returns the folder. Close removes it with its contents.
func (w *Workspace) Dir() string { return w.dir }

// RunID returns the run that the workspace belongs to.
func (w *Workspace) RunID() string { return w.runID }

// Close removes the folder. While a server in it is not stopped, Close fails and leaves everything
// to a later Close or Sweep. Calling it again does nothing.
func (w *Workspace) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.owner == nil {
		return nil
	}
	if left := slices.Sorted(maps.Keys(w.servers)); len(left) > 0 {
		return fmt.Errorf("close the workspace %s: not stopped: %s", w.dir, strings.Join(left, ", "))
	}
	// The folder first, then the lock: another lockjam's sweep would remove an unlocked folder.
	err := os.RemoveAll(w.dir)
	err = errors.Join(err, w.owner.Close())
	w.owner = nil
	if err != nil {
		return fmt.Errorf("close the workspace %s: %w", w.dir, err)
	}
	return nil
}

// Enter records a server that is about to be started. Leave records that nothing of it is left.
func (w *Workspace) Enter(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[server] = struct{}{}
}

func (w *Workspace) Leave(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.servers, server)
}

// Folder creates a folder for one server, named after it.
func (w *Workspace) Folder(name string) (string, error) {
	dir, err := os.MkdirTemp(w.dir, SafeName(name)+"-*")
	if err != nil {
		return "", fmt.Errorf("create a folder for server %s: %w", name, err)
	}
	return dir, nil
}

// SafeName replaces the characters that the name of a folder or container must not have.
func SafeName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, name)
}

// startedProcess identifies a process. Its pid alone does not: the kernel reuses it.
type startedProcess struct {
	pid        int32
	createTime int64 // milliseconds since 1970, as gopsutil reports it
}

// runs reports whether this very process exists and has not ended. A zombie has ended.
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

// RecordProcess records a started process for Sweep.
func (w *Workspace) RecordProcess(pid int) error {
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

// RecordContainers records that Docker is used, so that a sweep without Docker knows that it is
// incomplete.
func (w *Workspace) RecordContainers() error { return w.record("container") }

// record appends one line. It need not reach the disk: the processes do not survive a crash of the
// machine either.
func (w *Workspace) record(line string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(w.dir, startedFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("record the started server: %w", err)
	}
	_, err = f.WriteString(line + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("record the started server: %w", err)
	}
	return nil
}

// started is the content of the file of that name.
type started struct {
	processes  []startedProcess
	containers bool
}

// maxStarted bounds how much of a file "started" is read, in bytes: 100,000 processes need less.
const maxStarted = 4 << 20

// readStarted reads what a workspace has started. It skips a line that a crash has cut off.
func readStarted(dir string) (started, error) {
	var s started
	f, err := openRegular(filepath.Join(dir, startedFile), os.O_RDONLY)
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
