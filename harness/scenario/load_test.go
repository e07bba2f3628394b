package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
	"github.com/lockjam/lockjam/scenarios"
)

var known = vocabulary{
	signals:  map[string][]string{"deadlock": {"after_ms"}, "goodput-collapse": nil},
	remedies: map[string][]string{"none": nil, "restart-server": nil, "raise-maxclients-live": {"maxclients"}},
	kinds:    []string{"deadlock", "orphaned"},
	claims:   []string{"A1", "S1"},
	checkParam: func(_, _, value string) error {
		if strings.Trim(value, "0123456789") != "" {
			return fmt.Errorf("%q is no number", value)
		}
		return nil
	},
	verdicts: []string{"cured", "no-effect", "blocked"},
}

const minimal = `name: minimal
title: The least that a scenario says
server: {maxclients: 8}
arms:
  - name: control
`

// line finds the one line of a text that holds a word: the tests say what is
// wrong where, and not in which line.
func line(t *testing.T, text, word string) int {
	t.Helper()
	found := 0
	for i, l := range strings.Split(text, "\n") {
		if strings.Contains(l, word) {
			if found > 0 {
				t.Fatalf("%q is in lines %d and %d", word, found, i+1)
			}
			found = i + 1
		}
	}
	if found == 0 {
		t.Fatalf("%q is in no line of\n%s", word, text)
	}
	return found
}

func mustParse(t *testing.T, source string) *Scenario {
	t.Helper()
	s, err := parse("x.yaml", []byte(source), known, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseFillsInDefaults(t *testing.T) {
	source := minimal + "swarm:\n  instances: 4\n  client: {protocol: 3}\n  lock:\n    ttl_ms: 2.5e2\n"
	s := mustParse(t, source)
	want := Defaults()
	want.Name, want.Title = "minimal", "The least that a scenario says"
	want.Server.MaxClients = 8
	want.Arms = []Arm{{Name: "control", Remedy: "none"}}
	want.Swarm.Instances, want.Swarm.Client.Protocol, want.Swarm.Lock.TTLMS = 4, 3, 250
	want.Path, want.Source = "x.yaml", []byte(source)
	if line, column := s.Place("swarm.client.pool_size"); line != 8 || column != 3 { // it is left out
		t.Errorf("swarm.client is at %d:%d", line, column)
	}
	if line, column := s.Place(s.ArmKey("control") + ".name"); line != 5 || column != 11 {
		t.Errorf("the arm's name is at %d:%d", line, column)
	}
	s.places = nil
	if !reflect.DeepEqual(*s, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *s, want)
	}
}

// A scenario that was run before directives were an allow-list can still be read.
func TestParseOfARecordedScenario(t *testing.T) {
	source := "name: old\ntitle: t\nserver: {maxclients: 32, config: {proc-title-template: x}}\narms: [{name: control}]\n"
	known := known
	if _, err := parse("x.yaml", []byte(source), known, ""); err == nil {
		t.Error("it is taken for one that can be run")
	}
	known.recorded = true
	if _, err := parse("x.yaml", []byte(source), known, ""); err != nil {
		t.Error(err)
	}
}

func TestParseReadsEveryKindOfValue(t *testing.T) {
	s := mustParse(t, `
name: every-kind
title: 'quoted: text'
summary: >-
  two
  lines
server:
  maxclients: 32
  config: {save: ["3600 1", "300 100"], appendonly: no, maxmemory: "100"}
swarm:
  holder: redials
  client: {pool_fifo: true}
  limiter: {limit: 7}
trigger: {kind: surge, instances: 2}
signals:
  deadlock: {expect: fire, within_ms: 1.5, params: {after_ms: -3}}
arms:
  - {name: control, expect: {verdict: no-effect, unsafe: false}}
  - name: raise
    remedy: raise-maxclients-live
    params:
      maxclients: "10000"
`)
	if got, want := s.Title+"|"+s.Summary, "quoted: text|two lines"; got != want {
		t.Errorf("texts: got %q, want %q", got, want)
	}
	if got, want := s.Server.Config,
		(server.Config{"save": "3600 1\n300 100", "appendonly": "no", "maxmemory": "100"}); !reflect.DeepEqual(got,
		want) {
		t.Errorf("config: got %v, want %v", got, want)
	}
	if s.Swarm.Holder != swarm.HolderRedials || !s.Swarm.Client.PoolFIFO || s.Swarm.Limiter.Limit != 7 {
		t.Errorf("swarm: got %+v", s.Swarm)
	}
	if got, want := s.Signals["deadlock"],
		(Signal{Fire, 1.5, map[string]float64{"after_ms": -3}}); !reflect.DeepEqual(got, want) {
		t.Errorf("signal: got %v, want %v", got, want)
	}
	e := s.Arms[0].Expect
	if e.Verdict != "no-effect" || e.Unsafe == nil || *e.Unsafe || s.Arms[1].Expect.Unsafe != nil {
		t.Errorf("expectations: got %+v and %+v", e, s.Arms[1].Expect)
	}
	if got := s.Arms[1].Params["maxclients"]; got != "10000" {
		t.Errorf("params: got %q", got)
	}
}

func TestParseRefusesWhatIsNotOneMapping(t *testing.T) {
	tests := []struct {
		name, source string
		want         string
	}{
		{"nothing", "", "x.yaml:1:1: the file holds no scenario"},
		{"comments only", "# nothing\n\n", "x.yaml:1:1: the file holds no scenario"},
		{"text", "\nhealthy\n", `x.yaml:2:1: want a mapping that begins with name, not the text "healthy"`},
		{"list", "- name: x\n", "x.yaml:1:1: want a mapping that begins with name, not a list"},
		{"two documents", minimal + "---\nname: y\n", "x.yaml:6:1: a second YAML document: one scenario per file"},
		{"directive", "%YAML 1.2\n---\n" + minimal, "x.yaml:1:1: YAML directives are not supported"},
		{"syntax", "name: [a\n", "x.yaml:1:7: sequence end token ']' not found"},
		// A message is one line, and a terminal does not act upon it.
		{"tab", "name:\n\tx: y\n", "x.yaml:2:1: found character '→' that cannot start any token"},
		{"not UTF-8", "name: é\ntitle: \xff\n", "x.yaml:2:8: not UTF-8 text"},
		{"too large", strings.Repeat("#", maxSource+1), "x.yaml:1:1: the file is larger than 1 MiB"},
		{"too many tokens", strings.Repeat("[", maxTokens+1),
			"x.yaml:1:10001: more than 10000 YAML tokens: no scenario is that long"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse("x.yaml", []byte(test.source), known, "")
			if err == nil || err.Error() != test.want {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

func TestParseTakesHarmlessForms(t *testing.T) {
	for name, source := range map[string]string{
		"byte order mark":   "\uFEFF" + minimal,
		"document markers":  "# a comment\n---\n" + minimal + "...\n",
		"trailing marker":   minimal + "---\n",
		"Windows line ends": strings.ReplaceAll(minimal+"summary: |\n  two\n  lines\n", "\n", "\r\n"),
		"flow style":        `{name: minimal, title: t, server: {maxclients: 8}, arms: [{name: control}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if s := mustParse(t, source); s.Name != "minimal" || s.Server.MaxClients != 8 {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// Each of these is one more key at the end of the minimal scenario, and each is
// refused in the line that is marked with <-.
func TestParseRefusesWrongTypes(t *testing.T) {
	tests := []struct{ more, want string }{
		{"swram: {} # <-", `:1: unknown key "swram"; did you mean "swarm"?`},
		{"swarm:\n  lock: {poll: 5} # <-",
			`:10: unknown key "poll" in swarm.lock; known: tenants, ttl_ms, hold_ms, poll_ms, backoff, backoff_max_ms, acquire_timeout_ms, on_give_up, release, release_timeout_ms, renew_ms, wait_replicas, wait_replicas_ms, verify, pair, pair_gap_ms, pair_wait_ms`},
		{"title: again # <-", `:1: the key "title" is in line 2 already`},
		{"swarm:\n  instances: 2\n  holder: redials\n  instances: 3 # <-",
			`:3: the key "instances" in swarm is in line 7 already`},
		{"swarm: 5 # <-", ":8: swarm: want a mapping, not 5"},
		{"swarm: # <-", ":1: swarm: want a mapping, not nothing: give a value or leave the key out"},
		{"swarm:\n  lock: # <-\n    - a", ":3: swarm.lock: want a mapping, not a list"},
		{"swarm:\n  instances: many # <-", `:14: swarm.instances: want a whole number, not the text "many"`},
		{"swarm:\n  instances: 1.5 # <-", ":14: swarm.instances: want a whole number, not 1.5"},
		{"swarm:\n  instances: \"5\" # <-",
			`:14: swarm.instances: want a whole number, not the text "5": take the quotes away`},
		{"swarm:\n  instances: 1_000 # <-", ":14: swarm.instances: want a whole number, not 1_000"},
		// Fifteen to YAML 1.1 and seventeen to YAML 1.2.
		{"swarm:\n  instances: 017 # <-", ":14: swarm.instances: want a whole number, not 017"},
		{"swarm:\n  instances: 0x10 # <-", ":14: swarm.instances: want a whole number, not 0x10"},
		{"swarm:\n  instances: 99999999999999999999 # <-",
			`:14: swarm.instances: "99999999999999999999" is out of range`},
		{"swarm:\n  redial_ms: [1] # <-", ":3: swarm.redial_ms: want a number, not a list"},
		{"cure:\n  ratio: .nan # <-", ":10: cure.ratio: want a number, not .nan"},
		{"cure:\n  ratio: -.inf # <-", ":10: cure.ratio: want a number, not -.inf"},
		{"cure:\n  ratio: 1e999 # <-", `:10: cure.ratio: "1e999" is out of range`},
		{"swarm:\n  client:\n    pool_fifo: yes # <-",
			`:16: swarm.client.pool_fifo: want true or false, not the text "yes"`},
		{"swarm:\n  holder: 5 # <-", `:11: swarm.holder: "5": want keeps-connection, returns-connection or redials`},
		{"swarm:\n  holder: ~ # <-", ":3: swarm.holder: want text, not nothing: give a value or leave the key out"},
		{"summary: .nan # <-", ":10: summary: want text, not .nan"},
		{"summary: &a x # <-", ":10: summary: want text, not an anchor or an alias: they are not supported"},
		{"summary: !!str x # <-", ":10: summary: want text, not a tag: tags are not supported"},
		{`summary: "\e[2J" # <-`, `:10: summary: control characters are not allowed: "\x1b[2J"`},
		{"<<: {summary: x} # <-", ":1: want a word as the key: quote it if it is one (merge keys, aliases and complex keys are not supported)"},
		{"5: x # <-", ":1: want a word as the key: quote it if it is one (merge keys, aliases and complex keys are not supported)"},
		{"signals:\n  deadlock: fire # <-", `:13: signals.deadlock: want a mapping, not the text "fire"`},
		{"\"x\\ny\": 1 # <-", `:1: unknown key "x\ny"; known: name, title, summary, server, swarm, trigger, phases, watch, claims, incident, cure, signals, arms`},
	}
	for _, test := range tests {
		source := minimal + test.more + "\n"
		want := fmt.Sprintf("x.yaml:%d%s", line(t, source, "<-"), test.want)
		if _, err := parse("x.yaml", []byte(source), known, ""); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", test.more, err, want)
		}
	}
}

// What YAML has types for, redis.conf and a remedy's parameters have not: a number is the
// decodeText that stands in the file, and true and false are Redis's yes and no.
func TestParseTakesNumbersForText(t *testing.T) {
	for value, want := range map[string]string{
		"yes": "yes", "no": "no", "true": "yes", "false": "no", `"true"`: "yes", "100": "100", `"100"`: "100",
		"0.50": "0.50", "-1": "-1", "100mb": "100mb", "0x10": "0x10",
	} {
		source := "name: x\ntitle: 5\nserver: {maxclients: 8, config: {appendonly: " + value +
			"}, config_if_known: {appendonly: " + value + "}}\n" +
			"arms: [{name: control}, {name: 7, remedy: raise-maxclients-live, params: {maxclients: 100}, server: {config: {appendonly: " + value + "}}}]\n"
		s, err := parse("x.yaml", []byte(source), known, "")
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		for _, config := range []map[string]string{s.Server.Config, s.Server.ConfigIfKnown, s.Arms[1].Server.Config} {
			if got := config["appendonly"]; got != want {
				t.Errorf("%s: %q, want %q", value, got, want)
			}
		}
		if s.Title != "5" || s.Arms[1].Name != "7" || s.Arms[1].Params["maxclients"] != "100" {
			t.Errorf("%q, %q, %v", s.Title, s.Arms[1].Name, s.Arms[1].Params)
		}
	}
	_, err := parse("x.yaml", []byte("name: x\ntitle: t\nserver: {maxclients: 8, config: {appendonly: [a]}}\narms: [{name: control}]\n"), known, "")
	if err == nil || err.Error() != "x.yaml:3:34: server.config.appendonly: want text, not a list" {
		t.Error(err)
	}
}

// All that is wrong with arms is said at once, and a verdict of the other kind is told
// from one that is none.
func TestParseSaysAllOfArms(t *testing.T) {
	known := known
	known.preventions = []string{"prevented"}
	_, err := parse("x.yaml", []byte(`name: x
title: t
server: {maxclients: 32}
arms:
  - {name: idle, remedy: none, expect: {verdict: fixed}}
  - {name: flush, remedy: flushall, expect: {verdict: fixed}}
  - {name: restart, remedy: raise-maxclients-live, params: {maxclients: 100, clients: 5}, expect: {verdict: prevented}}
  - {name: jitter, prevention: jitter, swarm: {lock: {backoff: full-jitter}}, expect: {verdict: no-effect}}
  - {name: whole, remedy: raise-maxclients-live, params: {maxclients: [1]}}
`), known, "")
	want := strings.TrimPrefix(`
x.yaml:4:1: arms: no arm is called control: without it no remedy can earn credit
x.yaml:5:50: arms[0].expect.verdict: unknown verdict "fixed"; known: cured, no-effect, blocked
x.yaml:6:27: arms[1].remedy: unknown remedy "flushall"; known: none, raise-maxclients-live, restart-server
x.yaml:6:55: arms[1].expect.verdict: unknown verdict "fixed"; known: cured, no-effect, blocked
x.yaml:7:87: arms[2].params.clients: unknown parameter; known: maxclients
x.yaml:7:109: arms[2].expect.verdict: unknown verdict "prevented" of a remedy: it is one of preventions; known: cured, no-effect, blocked
x.yaml:8:97: arms[3].expect.verdict: unknown verdict "no-effect" of a prevention: it is one of remedies; known: prevented
x.yaml:9:59: arms[4].params.maxclients: want text, not a list`, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestParseReportsEverythingAtOnce(t *testing.T) {
	_, err := parse("x.yaml", []byte(`name: Two Words
titel: a typo is not also a missing title
server: {maxclients: 1}
swarm:
  instances: many
  lock: {poll_ms: 0}
phases: {recovery_ms: 100}
trigger: {kind: surge, instances: 3}
signals:
  deadlok: {expect: fire}
arms:
  - name: restart
    remedy: restart-serve
`), known, "")
	want := strings.TrimPrefix(`
x.yaml:1:7: name: "Two Words": want lower-case words joined by hyphens, at most 64 letters
x.yaml:2:1: unknown key "titel"; did you mean "title"?
x.yaml:3:22: server.maxclients: 1: want 4 to 100000 (too small to hold the 3 control connections)
x.yaml:5:14: swarm.instances: want a whole number, not the text "many"
x.yaml:6:19: swarm.lock.poll_ms: 0: want 0.1 to 3600000 (a shorter pause would spin)
x.yaml:7:23: phases.recovery_ms: 100: want at least cure.hold_ms, 1500
x.yaml:10:3: signals.deadlok: unknown signal; did you mean "deadlock"?
x.yaml:11:1: arms: no arm is called control: without it no remedy can earn credit
x.yaml:13:13: arms[0].remedy: unknown remedy "restart-serve"; did you mean "restart-server"?`, "\n")
	if err == nil || err.Error() != want {
		t.Fatalf("got\n%v\nwant\n%s", err, want)
	}
	var all Errors
	var one *Error
	if !errors.As(err, &all) || len(all) != 9 || !errors.As(err, &one) ||
		*one != (Error{"x.yaml", 1, 7, all[0].Message}) {
		t.Errorf("got %d problems, the first of them %+v", len(all), one)
	}
}

func TestErrorsEndAfterTenLines(t *testing.T) {
	var e Errors
	for i := range 13 {
		e = append(e, &Error{"x.yaml", i + 1, 1, "wrong"})
	}
	lines := strings.Split(e.Error(), "\n")
	if len(lines) != 11 || lines[9] != "x.yaml:10:1: wrong" || lines[10] != "and 3 more" {
		t.Errorf("got %q", lines)
	}
}

// Aliases are not followed, and what a parser of ours or of others would take
// for ever over is refused.
func TestParseIsQuick(t *testing.T) {
	var bomb, keys, nested strings.Builder
	bomb.WriteString("a: &a [x]\n")
	for c := 'b'; c <= 'z'; c++ {
		fmt.Fprintf(&bomb, "%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 20))
	}
	for i := range 60_000 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	for i := range 1_300 {
		nested.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, source := range map[string]string{
		"alias bomb":   bomb.String(),
		"many keys":    keys.String(),
		"3,333 keys":   keys.String()[:strings.Index(keys.String(), "k3333:")],
		"brackets":     strings.Repeat("[", maxSource),
		"9,999 deep":   strings.Repeat("[", maxTokens-1),
		"dashes":       strings.Repeat("- ", maxTokens-1),
		"nested":       nested.String(),
		"one long key": strings.Repeat("x", maxSource-9) + ": 1",
		"one value":    "name: " + strings.Repeat("x", maxSource-9),
		"new lines":    strings.Repeat("\n", maxSource),
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			_, err := parse("x.yaml", []byte(source), known, "")
			if took := time.Since(begun); took > 10*time.Second { // seconds on a busy machine, hours without the limits
				t.Errorf("took %v", took)
			}
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("got %v", err)
			}
			if n := len(err.Error()); n > 8<<10 {
				t.Errorf("the message has %d bytes", n)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Load(path); err != nil || s.Path != path || string(s.Source) != minimal {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: got %v", err)
	}
	if _, err := Load(filepath.Dir(path)); err == nil {
		t.Error("a folder was loaded")
	}
	if err := os.Truncate(path, 1<<40); err != nil { // a sparse file
		t.Skip(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a huge file: got %v", err)
	}
}

func TestEmbedded(t *testing.T) {
	for _, name := range scenarios.Names {
		t.Run(name, func(t *testing.T) {
			source, err := scenarios.Files.ReadFile(name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			s, err := Embedded(name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != name || s.Path != "scenarios/"+name+".yaml" || string(s.Source) != string(source) {
				t.Errorf("got %s from %s", s.Name, s.Path)
			}
		})
	}
}

func TestEmbeddedUnknown(t *testing.T) {
	for name, want := range map[string]string{
		"helthy":        `unknown scenario "helthy"; did you mean "healthy"?`,
		"../go":         `unknown scenario "../go"; known: ` + strings.Join(scenarios.Names, ", "),
		"scenarios.go":  `unknown scenario "scenarios.go"; known: ` + strings.Join(scenarios.Names, ", "),
		"orphaned_lock": `unknown scenario "orphaned_lock"; did you mean "orphaned-lock"?`,
	} {
		_, err := Embedded(name)
		if !errors.Is(err, ErrUnknown) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNameIsTheFiles(t *testing.T) {
	_, err := parse("scenarios/other.yaml", []byte(minimal), known, "other")
	if want := `scenarios/other.yaml:1:7: name: "minimal": want "other", as the file is called`; err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range scenarios.Names {
		source, err := scenarios.Files.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	for _, source := range []string{minimal, "", "a: &a [*a]", "? {a: b}\n: - c", "%TAG ! x\n---\n!a b",
		"a: |\n  b\n\n- c", "\"a\\x00\": >+\n", "name: 'a\n\n  b'"} {
		f.Add([]byte(source))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		s, err := parse("x.yaml", source, known, "")
		if err == nil {
			if !namePattern.MatchString(s.Name) || len(s.Arms) == 0 ||
				s.Server.MaxClients <= server.ControlConnections {
				t.Errorf("accepted %+v", s)
			}
			return
		}
		var all Errors
		if !errors.As(err, &all) || len(all) == 0 || s != nil {
			t.Fatalf("got %v, %v", s, err)
		}
		for _, e := range all {
			if e.Line < 1 || e.Column < 1 || e.Message == "" || strings.ContainsAny(e.Error(), "\n\r\x1b") {
				t.Errorf("bad error %+v", e)
			}
		}
	})
}
