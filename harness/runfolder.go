package harness

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
)

// maxRunFile bounds run.json, in bytes: a thousand repeats of the suite have less.
const maxRunFile = 256 << 20

// LoadRun reads run.json of a run folder, which may come from anywhere: no link in it
// leads out of it, and no arm's folder lies outside. An error is [ErrUsage], in one line.
func LoadRun(folder string) (*Run, error) {
	root, err := OpenFolder(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a run folder: %w", ErrUsage, folder, err)
	}
	defer root.Close()
	path := filepath.Join(folder, runFile)
	data, err := readRunFile(root)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, fmt.Errorf("%w: %s: %w", ErrUsage, path, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %s is not a run folder: %w", ErrUsage, folder, err)
	}
	return parseRun(folder, path, data)
}

var errTooLarge = fmt.Errorf("it has more than %d MiB, and no run has that many arms", maxRunFile>>20)

func readRunFile(root *os.Root) ([]byte, error) {
	f, err := openFile(root, runFile)
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
func parseRun(folder, path string, data []byte) (*Run, error) {
	var version struct {
		Schema string `json:"schema"`
	}
	// Of a newer schema the rest may look like anything: the version comes first.
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("%w: %s is damaged or cut short: %w", ErrUsage, path, damage(err))
	}
	switch {
	case version.Schema == RunSchema:
	case strings.HasPrefix(version.Schema, "lockjam/run/"):
		return nil, fmt.Errorf("%w: %s has schema %q, and this lockjam (%s) reads %q: use the lockjam that wrote it, or a newer one", ErrUsage, path, clip(version.Schema), Version, RunSchema)
	default:
		return nil, fmt.Errorf("%w: %s is not of lockjam: its schema is %q and not %q", ErrUsage, path, clip(version.Schema), RunSchema)
	}
	var r Run
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %s is damaged: %w", ErrUsage, path, damage(err))
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if !filepath.IsLocal(a.Folder) {
				return nil, fmt.Errorf("%w: %s names an arm folder outside of itself: %q", ErrUsage, folder, clip(a.Folder))
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

// OpenFolder opens a run folder. What is no folder is refused first: to open a pipe would
// wait for a writer.
func OpenFolder(path string) (*os.Root, error) {
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
	root, err := OpenFolder(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return openFile(root, name)
}

// openFile opens a plain file within a run folder. A pipe would keep its reader waiting,
// and a link that leads out of the folder is no part of the run.
func openFile(root *os.Root, name string) (*os.File, error) {
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

// writeVerdicts stores every arm's verdict.json as the arms taken together have
// left it.
func writeVerdicts(root *os.Root, r *Run) error {
	var errs []error
	for _, sc := range r.Scenarios {
		for i := range sc.Arms {
			errs = append(errs, writeVerdict(root, &sc.Arms[i]))
		}
	}
	return errors.Join(errs...)
}

func writeVerdict(root *os.Root, a *ArmResult) error {
	return writeJSON(root, filepath.Join(a.Folder, verdictFile), a)
}

func writeJSON(root *os.Root, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInternal, err)
	}
	if err := history.WriteFileIn(root, name, append(data, '\n')); err != nil {
		return faultOf(err)
	}
	return nil
}
