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

// The schema in the repository is the one that the code makes.
func TestSchemaIsUpToDate(t *testing.T) {
	made, err := schema.Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "scenarios", scenarios.SchemaFile)
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
		t.Errorf("%s is not what the code makes: run `go generate ./scenarios`", path)
	}
}
