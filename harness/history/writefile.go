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

// WriteFile puts data into the file at path, whole or not at all: whoever reads it, even after a power cut, finds the old file or the new one. The folder must exist. Its permissions are 0666 less the umask.
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

// WriteFileIn is WriteFile within a folder, out of which no link leads it: a run folder may come from anywhere.
func WriteFileIn(root *os.Root, name string, data []byte) error {
	if err := replace(root, name, data); err != nil {
		return fmt.Errorf("history: writing %s: %w", filepath.Join(root.Name(), name), err)
	}
	return nil
}

func replace(root *os.Root, name string, data []byte) error {
	dir, base := filepath.Split(name)
	// In the same folder, because a rename does not cross file systems.
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

// syncDir makes the names in a folder last, which it takes as Open returned it. Windows has no such call and keeps them by itself.
func syncDir(d *os.File, err error) error {
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		err = d.Sync()
	}
	return errors.Join(err, d.Close())
}
