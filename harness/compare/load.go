package compare

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lockjam/lockjam/harness"
)

// Load reads what a comparison needs of a run folder: run.json, and the scenario files
// that were run, where they are. Errors are those of harness.LoadRun; a folder that
// names files outside of itself is harness.ErrUsage too.
func Load(folder string) (Side, error) {
	r, err := harness.LoadRun(folder)
	if err != nil {
		return Side{}, err
	}
	side := Side{Run: r, Texts: map[string]string{}}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			if !filepath.IsLocal(a.Folder) {
				return Side{}, fmt.Errorf("%w: %s names an arm folder outside of itself: %q", harness.ErrUsage, folder, a.Folder)
			}
			if _, known := side.Texts[sc.Name]; known {
				continue
			}
			// All arms of a scenario were run from the same file.
			if text, err := readScenario(filepath.Join(folder, a.Folder, harness.ScenarioFile)); err == nil {
				side.Texts[sc.Name] = text
			}
		}
	}
	return side, nil
}

// maxScenario bounds what is read of a scenario file, in bytes.
const maxScenario = 1 << 20

// readScenario reads a plain file of a size that a scenario can have.
func readScenario(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxScenario {
		return "", fmt.Errorf("%s is no scenario file", path)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}
