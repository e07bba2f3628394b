package html

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// armFiles are what an arm leaves behind, in the order in which they are read.
var armFiles = []struct{ name, what string }{
	{rundir.VerdictFile, "verdict"},
	{rundir.ScenarioFile, "scenario as it was run"},
	{rundir.EnvironmentFile, "environment"},
	{rundir.LogFile, "what the server said"},
	{rundir.HistoryFile, "recorded history"},
}

// runFolder is the folder that a run is recorded in. What a run says of its folders may
// be anything: nothing outside of this one is looked at, whatever it is called and
// wherever links lead.
type runFolder struct {
	path string
	root *os.Root // nil where there is none
}

// openRunFolder takes the folder as it is: what cannot be opened is empty.
func openRunFolder(path string) *runFolder {
	f := &runFolder{path: path}
	if path == "" {
		return f
	}
	if root, err := rundir.Open(path); err == nil {
		f.root = root
	}
	return f
}

func (f *runFolder) close() {
	if f.root != nil {
		_ = f.root.Close() // it was read only
	}
}

// missing says why a file of an arm cannot be had; "" if it can.
func (f *runFolder) missing(armFolder, name string) string {
	switch {
	case f.root == nil:
		return "the run's folder is not there"
	case armFolder == "" || !filepath.IsLocal(armFolder):
		return "the arm's folder is not within the run's"
	}
	info, err := f.root.Stat(filepath.Join(armFolder, name))
	if err != nil || !info.Mode().IsRegular() {
		return name + " is not there"
	}
	return ""
}

// link leads to a file of an arm, or to a part of the page.
type link struct{ Href, Text, What string }

// links are to the files of an arm that are there.
func (f *runFolder) links(armFolder string) []link {
	var all []link
	for _, file := range armFiles {
		if f.missing(armFolder, file.name) == "" {
			all = append(all, link{Href: hrefTo(armFolder, file.name), Text: file.name, What: file.what})
		}
	}
	return all
}

// hrefTo is a path from the run folder, every part of it escaped.
func hrefTo(armFolder, name string) string {
	parts := strings.Split(path.Join(filepath.ToSlash(armFolder), name), "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "./" + strings.Join(parts, "/")
}

// maxEnvironment bounds what is read of an environment.json, in bytes.
const maxEnvironment = 1 << 20

// serverOf is what an arm ran on, in words.
func (f *runFolder) serverOf(armFolder string) string {
	if why := f.missing(armFolder, rundir.EnvironmentFile); why != "" {
		return "not known: " + why
	}
	file, err := rundir.OpenFile(f.path, filepath.Join(armFolder, rundir.EnvironmentFile))
	if err != nil {
		return "not known: " + rundir.EnvironmentFile + " cannot be read"
	}
	defer func() { _ = file.Close() }()
	var e result.Environment
	if err := json.NewDecoder(io.LimitReader(file, maxEnvironment)).Decode(&e); err != nil {
		return "not known: " + rundir.EnvironmentFile + " is damaged"
	}
	words := view.OfServer(e.Server)
	if e.Server.MaxClients > 0 {
		words += fmt.Sprintf("; maxclients %d", e.Server.MaxClients)
	}
	return words
}

// unjudged lists the arms that have a history and are not in the run: what a killed run
// was in the middle of.
func (f *runFolder) unjudged(r *result.Run) []string {
	if f.root == nil || r.Status == result.Completed {
		return nil
	}
	known := map[string]bool{}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			known[filepath.ToSlash(a.Folder)] = true
		}
	}
	found, _ := fs.Glob(f.root.FS(), "*/*/"+rundir.HistoryFile) // the pattern is a good one
	var arms []string
	for _, name := range found {
		if arm := path.Dir(name); !known[arm] && !strings.Contains(arm, ".attempt-") {
			arms = append(arms, arm)
		}
	}
	return arms
}
