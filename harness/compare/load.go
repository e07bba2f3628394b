package compare

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/lockjam/lockjam/harness/rundir"
)

// Load reads what a comparison needs of a run folder: run.json, and the scenario files
// that were run, where they are. Errors are those of harness.LoadRun.
func Load(folder string) (Side, error) {
	r, err := rundir.Load(folder)
	if err != nil {
		return Side{}, err
	}
	side := Side{Run: r, Texts: map[string]string{}}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if _, known := side.Texts[sc.Name]; known {
				continue
			}
			// All arms of a scenario were run from the same file.
			if text, err := readScenario(folder, filepath.Join(a.Folder, rundir.ScenarioFile)); err == nil {
				side.Texts[sc.Name] = text
			}
		}
	}
	return side, nil
}

// maxScenario bounds what is read of a scenario file, in bytes.
const maxScenario = 1 << 20

// readScenario reads a file of a size that a scenario can have.
func readScenario(folder, name string) (string, error) {
	f, err := rundir.OpenFile(folder, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxScenario+1))
	if len(text) > maxScenario {
		return "", fmt.Errorf("%s is no scenario file", f.Name())
	}
	return string(text), err
}
