package runner

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/runbook"
	"github.com/lockjam/lockjam/harness/rundir"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
)

func planned() Options {
	arms := []scenario.Arm{{Name: "control", Remedy: "none"}, {Name: "cut", Remedy: "kill-clients"}}
	return Options{Scenarios: []*scenario.Scenario{{Name: "x", Arms: arms}}, Repeat: 2}
}

// Every arm and repeat runs on each image, next to each other, in a folder of its own,
// with the same random choices.
func TestPlanOnSeveralImages(t *testing.T) {
	o := planned()
	o.Images = []string{"redis:6.0", "valkey:9.1"}
	tasks, err := plan(o)
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, task := range tasks {
		folders = append(folders, filepath.ToSlash(task.folder())+" "+task.on())
	}
	want := []string{
		"x/control+redis-6.0 redis:6.0", "x/control+valkey-9.1 valkey:9.1", "x/cut+redis-6.0 redis:6.0",
		"x/cut+valkey-9.1 valkey:9.1",
		"x/control+redis-6.0@2 redis:6.0", "x/control+valkey-9.1@2 valkey:9.1", "x/cut+redis-6.0@2 redis:6.0",
		"x/cut+valkey-9.1@2 valkey:9.1",
	}
	if !slices.Equal(folders, want) {
		t.Errorf("got  %q\nwant %q", folders, want)
	}
	if armSeed(7, tasks[0], 1) != armSeed(7, tasks[1], 1) || armSeed(7, tasks[0], 1) == armSeed(7, tasks[2], 1) {
		t.Error("the seeds are not those of the arm")
	}
}

// With one image, or none, nothing is different from what it always was.
func TestPlanOnOneImage(t *testing.T) {
	for _, images := range [][]string{nil, {""}, {"redis:8"}} {
		o := planned()
		o.Images = images
		tasks, err := plan(o)
		if err != nil {
			t.Fatal(err)
		}
		var folders []string
		for _, task := range tasks {
			folders = append(folders, filepath.ToSlash(task.folder()))
			if task.on() != "" || len(images) > 0 && task.image != images[0] {
				t.Errorf("%+v", task)
			}
		}
		if want := []string{"x/control", "x/cut", "x/control@2", "x/cut@2"}; !slices.Equal(folders, want) {
			t.Errorf("%q: got %q, want %q", images, folders, want)
		}
		if serversOf(images) != nil {
			t.Errorf("%q: %+v", images, serversOf(images))
		}
	}
}

// What is known of the servers stands in the order of the images, whichever of them
// answers first, and the first one is the run's.
func TestServersStandInOrder(t *testing.T) {
	e := result.Environment{Servers: serversOf([]string{"a", "b"})}
	said := func(image, version string) result.Server {
		return result.Server{ServerInfo: result.ServerInfo{Kind: server.KindContainer, Image: image}, Version: version}
	}
	e.Enter(said("b", "valkey 9"))
	if e.Server.Version != "" || e.Servers[0].Image != "a" || e.Servers[1].Version != "valkey 9" {
		t.Errorf("%+v", e)
	}
	e.Enter(said("a", "redis 6"))
	if e.Server.Version != "redis 6" || e.Servers[0].Version != "redis 6" || len(e.Servers) != 2 {
		t.Errorf("%+v", e)
	}
	one := result.Environment{}
	if one.Enter(said("a", "redis 6")); one.Server.Version != "redis 6" || one.Servers != nil {
		t.Errorf("%+v", one)
	}
}

// twoImages is a run of two arms on two images, with the verdicts in this order: the
// control's and the remedy's on a, then on b.
func twoImages(verdicts ...result.Verdict) *result.Run {
	yes := true
	r := &result.Run{Status: result.Completed, Environment: result.Environment{Servers: serversOf([]string{"a", "b"})}}
	sc := result.Scenario{Name: "x", Claims: []string{"R2"}}
	for i, image := range []string{"a", "b"} {
		sc.Arms = append(sc.Arms,
			result.Arm{Name: "control", Image: image, Remedy: "none", Repeat: 1, Outcome: result.Pass, Reproduced: &yes,
				Verdict: verdicts[2*i]},
			result.Arm{Name: "raise-maxclients-restart", Image: image, Remedy: "raise-maxclients-restart", Repeat: 1,
				Outcome: result.Pass, Reproduced: &yes, Verdict: verdicts[2*i+1]})
	}
	r.Scenarios = []result.Scenario{sc}
	return r
}

// A cure on one image is compared with the control arm on that image alone.
func TestCreditIsWithinAnImage(t *testing.T) {
	r := twoImages(result.NoEffect, result.Cured, result.Cured, result.Cured)
	judge.Conclude(r)
	r.Claims = runbook.Scorecard(r)
	arms := r.Scenarios[0].Arms
	if c := arms[1].Credit; c == nil || !c.Earned || arms[1].Outcome != result.Pass {
		t.Errorf("on a, where nothing came back by itself: %+v, %s", c, arms[1].Outcome)
	}
	if c := arms[3].Credit; c == nil || c.Earned || arms[3].Outcome != result.Inconclusive {
		t.Errorf("on b, where all came back by itself: %+v, %s", c, arms[3].Outcome)
	}
}

// Each image answers a claim for itself.
func TestClaimsOnSeveralImages(t *testing.T) {
	for _, c := range []struct {
		name     string
		verdicts []result.Verdict
		verdict  string
		because  []string
		instead  bool
	}{
		{"they agree", []result.Verdict{result.NoEffect, result.Cured, result.NoEffect, result.Cured}, result.Confirmed,
			[]string{"It cures x."}, false},
		{"they do not", []result.Verdict{result.NoEffect, result.Cured, result.NoEffect, result.Relapsed},
			result.Conditional,
			[]string{"Confirmed on a: It cures x.", "Refuted on b: It does not cure x (relapsed)."}, true},
		{"one has nothing to say", []result.Verdict{result.NoEffect, "", result.NoEffect, result.Relapsed},
			result.Refuted, []string{"It does not cure x (relapsed). Tested on b alone."}, true},
		{"none has", []result.Verdict{result.NoEffect, "", result.NoEffect, ""}, result.Untested,
			[]string{"No arm of this run bears on it."}, false},
	} {
		r := twoImages(c.verdicts...)
		cards := runbook.Scorecard(r)
		i := slices.IndexFunc(cards, func(k result.Claim) bool { return k.ID == "R2" })
		got := cards[i]
		if got.Verdict != c.verdict || (got.Instead != "") != c.instead {
			t.Errorf("%s: %+v", c.name, got)
		}
		for _, words := range c.because {
			if !strings.Contains(got.Because, words) {
				t.Errorf("%s: no %q in %q", c.name, words, got.Because)
			}
		}
		if len(got.Images) != 2 || got.Images[0].Image != "a" || got.Images[1].Image != "b" || len(got.Evidence) != 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
		if tested := got.Images[1]; tested.Verdict != result.Untested &&
			(len(tested.Evidence) != 1 || tested.Evidence[0].Arm != "raise-maxclients-restart") {
			t.Errorf("%s: %+v", c.name, tested)
		}
	}
}

// A run on one server has nothing of this in its run.json.
func TestRunOnOneServerNamesNoImages(t *testing.T) {
	yes := true
	r := &result.Run{Status: result.Completed,
		Scenarios: []result.Scenario{{Name: "x", Claims: []string{"R2"}, Arms: []result.Arm{
			{Name: "control", Remedy: "none", Repeat: 1, Outcome: result.Pass, Reproduced: &yes,
				Verdict: result.NoEffect},
			{Name: "raise-maxclients-restart", Remedy: "raise-maxclients-restart", Repeat: 1, Outcome: result.Pass,
				Reproduced: &yes, Verdict: result.Cured},
		}}}}
	judge.Conclude(r)
	r.Claims = runbook.Scorecard(r)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"image"`, `"images"`, `"servers"`, `"features"`} {
		if strings.Contains(string(data), word) {
			t.Errorf("%s in %s", word, data)
		}
	}
}

// An arm that was under way when lockjam was killed is found with its image and repeat.
func TestKilledArmKeepsItsImage(t *testing.T) {
	folder := t.TempDir()
	at := filepath.Join(folder, "x", "control+b-1@2")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	j, err := history.Create(filepath.Join(at, rundir.HistoryFile),
		history.Header{Scenario: "x", Arm: "control", Image: "b:1", Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r := &result.Run{}
	if err := addUnlisted(root, r); err != nil {
		t.Fatal(err)
	}
	if len(r.Scenarios) != 1 || len(r.Scenarios[0].Arms) != 1 {
		t.Fatalf("%+v", r.Scenarios)
	}
	if a := r.Scenarios[0].Arms[0]; a.Name != "control" || a.Image != "b:1" || a.Repeat != 2 {
		t.Errorf("%+v", a)
	}
}
