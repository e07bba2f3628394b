package scenarios

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestNamesAreTheEmbeddedFiles(t *testing.T) {
	files, err := fs.Glob(Files, "*")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(file, ".yaml")
	}
	// A name that comes twice differs from the files too.
	if names := slices.Sorted(slices.Values(Names)); !slices.Equal(names, files) {
		t.Errorf("Names, sorted: %q\nfiles:         %q", names, files)
	}
}

func TestRunbookIsInTheCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range Runbook {
		if !slices.Contains(Names, name) {
			t.Errorf("%s is not in Names", name)
		}
		if seen[name] {
			t.Errorf("%s is in Runbook twice", name)
		}
		seen[name] = true
	}
	if len(Runbook) == 0 {
		t.Error("Runbook is empty")
	}
}
