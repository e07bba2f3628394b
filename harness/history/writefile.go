package history

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile writes data to the file at path, atomically: a reader finds the old or the new content,
// even after a power failure. The folder must exist. Permissions are 0666 less the umask.
func WriteFile(path string, data []byte) error {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("history: writing %s: %w", path, err)
	}
	defer root.Close()
	return WriteFileIn(root, name, data)
}

// WriteFileIn is WriteFile within a folder that no symbolic link may lead out of: a run folder may
// come from an untrusted source.
func WriteFileIn(root *os.Root, name string, data []byte) error {
	if err := replace(root, name, data); err != nil {
		return fmt.Errorf("history: writing %s: %w", filepath.Join(root.Name(), name), err)
	}
	return nil
}

func replace(root *os.Root, name string, data []byte) error {
	dir, base := filepath.Split(name)
	// In the same folder, since a rename cannot cross file systems.
	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%016x.tmp", base, rand.Uint64()))
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(tmp))
	}
	return syncDir(root.Open(cmp.Or(dir, ".")))
}

// syncDir makes renames and new names in a folder durable, and closes the folder. Its arguments are
// the results of opening the folder. Windows has no such call and does not need it.
func syncDir(d *os.File, err error) error {
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		err = d.Sync()
	}
	return errors.Join(err, d.Close())
}
