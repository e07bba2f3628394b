package server_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

// A sweep neither blocks on, reads to its end, nor follows a file that has the name of one of
// lockjam's in the folder for temporary files.
func TestSweepOfForgedWorkspaces(t *testing.T) {
	noContainers := func(context.Context) (server.Containers, error) { return nil, errors.New("no Docker") }
	const owner = "lockjam workspace v1\nrun forged\n"
	folder := func(path string) error { return os.Mkdir(path, 0o700) }
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	write := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	link := func(to string) func(string) error { return func(path string) error { return os.Symlink(to, path) } }
	large := func(path string) error { // sparse: it takes no space on disk
		return errors.Join(os.WriteFile(path, []byte(owner), 0o600), os.Truncate(path, 1<<40))
	}
	for _, c := range []struct {
		name           string
		owner, started func(string) error
		removed        bool
		wantErr        string
	}{
		{"owner is a pipe", pipe, nil, false, ""},
		{"owner is a device", link("/dev/zero"), nil, false, ""},
		{"owner is a folder", folder, nil, false, ""},
		{"owner is huge", large, nil, true, ""},
		{"started is a pipe", write(owner), pipe, false, "is not a regular file"},
		{"started is a device", write(owner), link("/dev/zero"), false, "too many levels of symbolic links"},
		{"started is a folder", write(owner), folder, false, "is not a regular file"},
		{"started is huge", write(owner), large, false, "token too long"},
		{"nothing but an owner", write(owner), nil, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			dir := filepath.Join(tmp, "lockjam-forged")
			err := errors.Join(os.Mkdir(dir, 0o700), c.owner(filepath.Join(dir, "owner")))
			if c.started != nil {
				err = errors.Join(err, c.started(filepath.Join(dir, "started")))
			}
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { _, err := server.Sweep(context.Background(), noContainers, nil); ended <- err }()
			select {
			case err = <-ended:
			case <-time.After(5 * time.Second):
				t.Fatal("it hangs")
			}
			if (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("%v; want %q", err, c.wantErr)
			}
			if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) != c.removed {
				t.Errorf("the folder: %v; want it removed: %v", err, c.removed)
			}
		})
	}
}
