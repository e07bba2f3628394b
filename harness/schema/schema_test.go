package schema_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockjam/lockjam/harness/schema"
	"github.com/lockjam/lockjam/scenarios"
)

var update = flag.Bool("update", false, "write the schema anew")

const root = "../.."

// The schemas in the repository are the ones that the code makes.
func TestSchemaIsUpToDate(t *testing.T) {
	isMade(t, filepath.Join("scenarios", scenarios.SchemaFile), "./scenarios",
		func(string) ([]byte, error) { return schema.Generate() })
}

func TestEventSchemaIsUpToDate(t *testing.T) {
	isMade(t, schema.EventsFile, "./harness/result", schema.Events)
}

// isMade compares a file of the repository with what the code makes, or writes it anew.
func isMade(t *testing.T, file, generated string, generate func(root string) ([]byte, error)) {
	t.Helper()
	made, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, file)
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(there, made) {
		t.Errorf("%s is not what the code makes: run `go generate %s`", path, generated)
	}
}
