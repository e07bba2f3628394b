// Package rundir is the one place that knows the files of a run folder: it creates the folder,
// and opens, reads and writes what is in it.
package rundir

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/machine"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
)

// maxRunFile bounds run.json, in bytes: a thousand repeats of the suite have less.
const maxRunFile = 256 << 20

// Load reads run.json of a run folder, which may come from anywhere: no link in it
// leads out of it, and no arm's folder lies outside. An error is [ErrUsage], in one line.
func Load(folder string) (*result.Run, error) {
	root, err := Open(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a run folder: %w", result.ErrUsage, folder, err)
	}
	defer root.Close()
	path := filepath.Join(folder, RunFile)
	data, err := readRunFile(root)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, fmt.Errorf("%w: %s: %w", result.ErrUsage, path, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %s is not a run folder: %w", result.ErrUsage, folder, err)
	}
	return parseRun(folder, path, data)
}

var errTooLarge = fmt.Errorf("it has more than %d MiB, and no run has that many arms", maxRunFile>>20)

func readRunFile(root *os.Root) ([]byte, error) {
	f, err := OpenIn(root, RunFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxRunFile {
		return nil, errTooLarge
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRunFile+1))
	if len(data) > maxRunFile {
		return nil, errTooLarge
	}
	return data, err
}

// parseRun takes the text of run.json for a run, if it is one that can be.
func parseRun(folder, path string, data []byte) (*result.Run, error) {
	var version struct {
		Schema string `json:"schema"`
	}
	// Of a newer schema the rest may look like anything: the version comes first.
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("%w: %s is damaged or cut short: %w", result.ErrUsage, path, damage(err))
	}
	switch {
	case version.Schema == result.RunSchema:
	case strings.HasPrefix(version.Schema, "lockjam/run/"):
		return nil, fmt.Errorf("%w: %s has schema %q, and this lockjam (%s) reads %q: use the lockjam that wrote it, or a newer one", result.ErrUsage, path, clip(version.Schema), result.Version, result.RunSchema)
	default:
		return nil, fmt.Errorf("%w: %s is not of lockjam: its schema is %q and not %q", result.ErrUsage, path,
			clip(version.Schema), result.RunSchema)
	}
	var r result.Run
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %s is damaged: %w", result.ErrUsage, path, damage(err))
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if !filepath.IsLocal(a.Folder) {
				return nil, fmt.Errorf("%w: %s names an arm folder outside of itself: %q", result.ErrUsage, folder,
					clip(a.Folder))
			}
		}
	}
	r.Folder = folder
	return &r, nil
}

// damage says for people what encoding/json says with the names of Go types.
func damage(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s cannot be %s (byte %d)", cmp.Or(wrong.Field, "all of it"), wrong.Value, wrong.Offset)
	}
	return err
}

// clip cuts what goes into a message to what fits there.
func clip(s string) string { return s[:min(len(s), 200)] }

// Open opens a run folder. What is no folder is refused first: to open a pipe would
// wait for a writer.
func Open(path string) (*os.Root, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	return os.OpenRoot(path)
}

// OpenFile opens a plain file of a run folder, which may come from anywhere: no link in it
// leads out of it. The name is relative to the folder.
func OpenFile(folder, name string) (*os.File, error) {
	root, err := Open(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return OpenIn(root, name)
}

// OpenIn opens a plain file within a run folder. A pipe would keep its reader waiting,
// and a link that leads out of the folder is no part of the run.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would keep even this waiting
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		path.Op = "open" // which is what it is for; the call is openat
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("it is no plain file")}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// WriteVerdicts stores every arm's verdict.json as the arms taken together have
// left it.
func WriteVerdicts(root *os.Root, r *result.Run) error {
	var errs []error
	for _, sc := range r.Scenarios {
		for i := range sc.Arms {
			errs = append(errs, WriteVerdict(root, &sc.Arms[i]))
		}
	}
	return errors.Join(errs...)
}

func WriteVerdict(root *os.Root, a *result.Arm) error {
	return WriteJSON(root, filepath.Join(a.Folder, VerdictFile), a)
}

func WriteJSON(root *os.Root, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%w: %w", result.ErrInternal, err)
	}
	if err := history.WriteFileIn(root, name, append(data, '\n')); err != nil {
		return Fault(err)
	}
	return nil
}

// ScenarioFile is in the folder of every arm: the scenario as it was run.
const ScenarioFile = "scenario.yaml"

// Other files of a run folder.
const (
	RunFile         = "run.json"
	EnvironmentFile = "environment.json"
	HistoryFile     = "history.ndjson.zst"
	VerdictFile     = "verdict.json"
	LogFile         = "server.log"
)

// Latest is the link in the folder of run folders that leads to the last run.
const Latest = "latest"

// CheckOut makes the folder of run folders where it is missing, and makes sure that a run
// can be recorded in it: that it can be written to, and that nothing of the user's stands
// where the link to the last run is to be. It changes nothing that is there.
func CheckOut(folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	link := filepath.Join(folder, Latest)
	switch info, err := os.Lstat(link); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s is to lead to the last run, and is no link: move it away, or choose another folder", link)
	}
	probe, err := os.MkdirTemp(folder, ".lockjam-*")
	if err != nil {
		return err
	}
	return os.Remove(probe)
}

// Fault says whose fault an error is that should not be: the machine's, if it is the
// operating system that says it (the disk is full, too many files are open), and
// lockjam's own else.
func Fault(err error) error {
	if errors.Is(err, result.ErrInternal) || errors.Is(err, server.ErrUnusable) {
		return err
	}
	if machine.Says(err) {
		return server.Unusable(err)
	}
	return fmt.Errorf("%w: %w", result.ErrInternal, err)
}
