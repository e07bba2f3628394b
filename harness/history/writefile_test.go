package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.json")
	for _, content := range []string{"first", "second, which is longer", ""} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
	}
	only(t, dir, "run.json")
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want, wantErr := os.Stat(plain)
	info, err := os.Stat(path)
	if err != nil || wantErr != nil || info.Mode() != want.Mode() {
		t.Errorf("%v, %v, %v; want what the umask leaves", info, err, wantErr)
	}
}

func TestWriteFileWithoutFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := WriteFile("verdict.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	only(t, ".", "verdict.json")
}

func TestWriteFileFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none", "run.json")
	if err := WriteFile(missing, nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Error(err)
	}
	// If the file cannot be replaced, no temporary file remains.
	dir := t.TempDir()
	path := filepath.Join(dir, "run.json")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("x")); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	only(t, dir, "run.json")
}

// only checks that dir holds nothing but name: no temporary files remain.
func only(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("%v, %v, want only %s", entries, err, name)
	}
}
