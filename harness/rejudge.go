package harness

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
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/harness/waitgraph"
)

// Known is what scenario files may name.
func Known() scenario.Known {
	k := scenario.Known{
		Signals: map[string][]string{}, Remedies: map[string][]string{}, ControlConnections: server.ControlConnections,
		Kinds: []string{string(waitgraph.Deadlock), string(waitgraph.Exhausted), string(waitgraph.Orphaned), string(waitgraph.Refused), string(waitgraph.Transient)},
	}
	for _, s := range signals.All() {
		k.Signals[s.Name] = nil
		for p := range s.Params {
			k.Signals[s.Name] = append(k.Signals[s.Name], p)
		}
	}
	for _, r := range remedies.All() {
		k.Remedies[r.Name] = nil
		if r.Restarts {
			k.Restarting = append(k.Restarting, r.Name)
		}
		for _, p := range r.Params {
			k.Remedies[r.Name] = append(k.Remedies[r.Name], p.Name)
		}
	}
	k.CheckParam = func(remedy, param, value string) error {
		r, _ := remedies.Find(remedy)
		for _, p := range r.Params {
			if p.Name == param && p.Check != nil {
				return p.Check(value)
			}
		}
		return nil
	}
	for _, c := range runbook {
		k.Claims = append(k.Claims, c.id)
	}
	for _, v := range Verdicts {
		k.Verdicts = append(k.Verdicts, string(v))
	}
	for _, v := range PreventionVerdicts {
		k.Preventions = append(k.Preventions, string(v))
	}
	return k
}

// judgeFolder judges an arm from what is on disk, as every later judge will.
func judgeFolder(root *os.Root, folder string, sc *scenario.Scenario, arm scenario.Arm) (*ArmResult, error) {
	h, err := recordedHistory(root, folder)
	if err != nil {
		return nil, err
	}
	r := Judge(sc, arm, h)
	return &r, nil
}

// Change is an arm of which more is known, or something else is said, than when it was
// judged before; or one that could not be judged again, of which nothing changes.
type Change struct {
	Was, Now ArmResult
	Lost     error // why it could not: what was recorded of it is not there, or cannot be read
}

// Turned says whether it is more than figures that changed.
func (c Change) Turned() bool {
	return c.Was.Outcome != c.Now.Outcome || c.Was.Verdict != c.Now.Verdict || c.Was.Unsafe != c.Now.Unsafe
}

// Rejudge judges a recorded run again, from the scenarios and histories in its
// folder alone, and rewrites its verdicts. It returns the arms whose result
// changed, and those that are lost; that all are is an error. Where the folder
// cannot be written it returns the run with the error.
func Rejudge(folder string) (*Run, []Change, error) {
	r, err := LoadRun(folder)
	if err != nil {
		return nil, nil, err
	}
	root, err := OpenFolder(folder)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	defer root.Close()
	if r.Status != Completed {
		if err := addUnlisted(root, r); err != nil {
			return nil, nil, err
		}
	}
	var before []Change
	lost := 0
	for i := range r.Scenarios {
		for k := range r.Scenarios[i].Arms {
			was := &r.Scenarios[i].Arms[k]
			now, sc, err := rejudgeArm(root, was)
			before = append(before, Change{Was: *was, Lost: err})
			if err != nil {
				lost++
				continue
			}
			r.Scenarios[i].Claims = sc.Claims
			*was = *now
		}
	}
	if lost > 0 && lost == len(before) {
		return nil, nil, fmt.Errorf("%w: %s cannot be judged again: %w", ErrUsage, filepath.Join(folder, before[0].Was.Folder), before[0].Lost)
	}
	conclude(r)
	var changes []Change
	var errs []error
	for _, sc := range r.Scenarios {
		for i := range sc.Arms {
			c := before[0]
			before, c.Now = before[1:], sc.Arms[i]
			if c.Lost != nil || !sameJSON(c.Was, c.Now) {
				changes = append(changes, c)
			}
			if c.Lost == nil {
				errs = append(errs, writeVerdict(root, &sc.Arms[i]))
			}
		}
	}
	return r, changes, errors.Join(append(errs, writeJSON(root, runFile, r))...)
}

// sameJSON compares what would be written.
func sameJSON(a, b ArmResult) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// addUnlisted adds the arms that were under way when lockjam was killed: they
// have a history, and run.json does not know of them.
func addUnlisted(root *os.Root, r *Run) error {
	found, err := fs.Glob(root.FS(), "*/*/"+historyFile)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
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
		arm := ArmResult{Name: header.Arm, Image: header.Image, Folder: within, Repeat: 1, Attempts: 1}
		if _, n, ok := strings.Cut(filepath.Base(within), "@"); ok {
			arm.Repeat, _ = strconv.Atoi(n)
		}
		sc := scenarioOf(r, header.Scenario)
		sc.Arms = append(sc.Arms, arm)
	}
	return nil
}

func headerOf(root *os.Root, name string) (history.Header, error) {
	f, err := openFile(root, name)
	if err != nil {
		return history.Header{}, err
	}
	defer f.Close()
	header, _, err := history.EachFrom(f, history.Visitor{})
	return header, err
}

func lists(r *Run, armFolder string) bool {
	for _, sc := range r.Scenarios {
		if slices.ContainsFunc(sc.Arms, func(a ArmResult) bool { return a.Folder == armFolder }) {
			return true
		}
	}
	return false
}

// scenarioOf finds a scenario's results, or begins them.
func scenarioOf(r *Run, name string) *ScenarioResult {
	i := slices.IndexFunc(r.Scenarios, func(s ScenarioResult) bool { return s.Name == name })
	if i < 0 {
		r.Scenarios = append(r.Scenarios, ScenarioResult{Name: name, Title: name})
		i = len(r.Scenarios) - 1
	}
	return &r.Scenarios[i]
}

// rejudgeArm judges one arm again.
func rejudgeArm(root *os.Root, was *ArmResult) (*ArmResult, *scenario.Scenario, error) {
	sc, arm, h, err := recordedArm(root, was)
	if err != nil {
		return nil, nil, err
	}
	now := Judge(sc, arm, h)
	now.Image, now.Repeat, now.Attempts, now.Folder = was.Image, was.Repeat, was.Attempts, was.Folder
	return &now, sc, nil
}

// recordedArm is an arm as it ran, with its scenario and its history.
func recordedArm(root *os.Root, was *ArmResult) (*scenario.Scenario, scenario.Arm, *history.History, error) {
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
	f, err := openFile(root, filepath.Join(folder, historyFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return history.LoadFrom(f)
}

// recordedScenario is the scenario as an arm ran it.
func recordedScenario(root *os.Root, folder string) (*scenario.Scenario, error) {
	f, err := openFile(root, filepath.Join(folder, ScenarioFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := Known()
	known.Recorded = true
	return scenario.Read(f, f.Name(), known)
}
