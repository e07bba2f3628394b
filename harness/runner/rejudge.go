package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/runbook"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
)

// judgeFolder judges an arm from what is on disk, as every later judge will.
func judgeFolder(root *os.Root, folder string, sc *scenario.Scenario, arm scenario.Arm) (*result.Arm, error) {
	h, err := recordedHistory(root, folder)
	if err != nil {
		return nil, err
	}
	r := judge.Judge(sc, arm, h)
	return &r, nil
}

// Rejudge judges a recorded run again, from the scenarios and histories in its
// folder alone, and rewrites its verdicts. It returns the arms whose result
// changed, and those that are lost; that all are is an error. Where the folder
// cannot be written it returns the run with the error.
func Rejudge(folder string) (*result.Run, []result.Change, error) {
	r, err := rundir.Load(folder)
	if err != nil {
		return nil, nil, err
	}
	root, err := rundir.Open(folder)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", result.ErrUsage, err)
	}
	defer root.Close()
	if r.Status != result.Completed {
		if err := addUnlisted(root, r); err != nil {
			return nil, nil, err
		}
	}
	var before []result.Change
	lost := 0
	for i := range r.Scenarios {
		for k := range r.Scenarios[i].Arms {
			was := &r.Scenarios[i].Arms[k]
			now, sc, err := rejudgeArm(root, was)
			before = append(before, result.Change{Was: *was, Lost: err})
			if err != nil {
				lost++
				continue
			}
			r.Scenarios[i].Claims = sc.Claims
			*was = *now
		}
	}
	if lost > 0 && lost == len(before) {
		return nil, nil, fmt.Errorf("%w: %s cannot be judged again: %w", result.ErrUsage,
			filepath.Join(folder, before[0].Was.Folder), before[0].Lost)
	}
	judge.Conclude(r)
	r.Claims = runbook.Scorecard(r)
	var changes []result.Change
	var errs []error
	for _, sc := range r.Scenarios {
		for i := range sc.Arms {
			c := before[0]
			before, c.Now = before[1:], sc.Arms[i]
			if c.Lost != nil || !sameJSON(c.Was, c.Now) {
				changes = append(changes, c)
			}
			if c.Lost == nil {
				errs = append(errs, rundir.WriteVerdict(root, &sc.Arms[i]))
			}
		}
	}
	return r, changes, errors.Join(append(errs, rundir.WriteJSON(root, rundir.RunFile, r))...)
}

// sameJSON compares what would be written.
func sameJSON(a, b result.Arm) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// addUnlisted adds the arms that were under way when lockjam was killed: they
// have a history, and run.json does not know of them.
func addUnlisted(root *os.Root, r *result.Run) error {
	found, err := fs.Glob(root.FS(), "*/*/"+rundir.HistoryFile)
	if err != nil {
		return fmt.Errorf("%w: %w", result.ErrUsage, err)
	}
	for _, name := range found {
		within := filepath.Dir(filepath.FromSlash(name))
		if lists(r, within) || strings.Contains(within, ".attempt-") {
			continue
		}
		header, err := headerOf(root, filepath.FromSlash(name))
		if err != nil {
			continue // killed before anything was recorded
		}
		arm := result.Arm{Name: header.Arm, Image: header.Image, Folder: within, Repeat: 1, Attempts: 1}
		if _, n, ok := strings.Cut(filepath.Base(within), "@"); ok {
			arm.Repeat, _ = strconv.Atoi(n)
		}
		sc := scenarioOf(r, header.Scenario)
		sc.Arms = append(sc.Arms, arm)
	}
	return nil
}

func headerOf(root *os.Root, name string) (history.Header, error) {
	f, err := rundir.OpenIn(root, name)
	if err != nil {
		return history.Header{}, err
	}
	defer f.Close()
	header, _, err := history.EachFrom(f, history.Visitor{})
	return header, err
}

func lists(r *result.Run, armFolder string) bool {
	for _, sc := range r.Scenarios {
		if slices.ContainsFunc(sc.Arms, func(a result.Arm) bool { return a.Folder == armFolder }) {
			return true
		}
	}
	return false
}

// scenarioOf finds a scenario's results, or begins them.
func scenarioOf(r *result.Run, name string) *result.Scenario {
	i := slices.IndexFunc(r.Scenarios, func(s result.Scenario) bool { return s.Name == name })
	if i < 0 {
		r.Scenarios = append(r.Scenarios, result.Scenario{Name: name, Title: name})
		i = len(r.Scenarios) - 1
	}
	return &r.Scenarios[i]
}

// rejudgeArm judges one arm again.
func rejudgeArm(root *os.Root, was *result.Arm) (*result.Arm, *scenario.Scenario, error) {
	sc, arm, h, err := recordedArm(root, was)
	if err != nil {
		return nil, nil, err
	}
	now := judge.Judge(sc, arm, h)
	now.Image, now.Repeat, now.Attempts, now.Folder = was.Image, was.Repeat, was.Attempts, was.Folder
	return &now, sc, nil
}

// recordedArm is an arm as it ran, with its scenario and its history.
func recordedArm(root *os.Root, was *result.Arm) (*scenario.Scenario, scenario.Arm, *history.History, error) {
	sc, err := recordedScenario(root, was.Folder)
	if err != nil {
		return nil, scenario.Arm{}, nil, err
	}
	arm, ok := sc.Arm(was.Name)
	if !ok {
		return nil, scenario.Arm{}, nil, fmt.Errorf("%s has no arm %q", sc.Path, was.Name)
	}
	h, err := recordedHistory(root, was.Folder)
	return sc, arm, h, err
}

func recordedHistory(root *os.Root, folder string) (*history.History, error) {
	f, err := rundir.OpenIn(root, filepath.Join(folder, rundir.HistoryFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return history.LoadFrom(f)
}

// recordedScenario is the scenario as an arm ran it.
func recordedScenario(root *os.Root, folder string) (*scenario.Scenario, error) {
	f, err := rundir.OpenIn(root, filepath.Join(folder, rundir.ScenarioFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return scenario.ReadRecorded(f, f.Name())
}
