package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
)

// scrape is what Prometheus would read, but for comments, what lockjam was built from, and
// what is zero.
func scrape(t *testing.T, l *Live, accept string) []string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", accept)
	answer := httptest.NewRecorder()
	l.Handler().ServeHTTP(answer, request)
	if answer.Code != http.StatusOK || !strings.HasPrefix(answer.Header().Get("Content-Type"), accept) {
		t.Fatalf("%d %v: %s", answer.Code, answer.Header(), answer.Body)
	}
	var lines []string
	for line := range strings.Lines(answer.Body.String()) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") &&
			!strings.HasPrefix(line, "lockjam_build_info") && !strings.HasSuffix(line, " 0") {
			lines = append(lines, line)
		}
	}
	return lines
}

func expect(t *testing.T, l *Live, when string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := scrape(t, l, "text/plain"); !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func event(kind result.EventKind, repeat int) result.Event {
	return result.Event{Kind: kind, Scenario: "s", Arm: "control", Repeat: repeat}
}

func sampled(l *Live, repeat int, load result.Load) {
	e := event(result.Sampled, repeat)
	e.Load = &load
	l.Observe(e)
}

const (
	arm     = `arm="control",image=""`
	counts  = `{` + arm + `,scenario="s"} `
	repeat1 = `{` + arm + `,repeat="1",scenario="s"} `
)

// One arm, from its start to its end and once more: what it does is there while it
// runs, and what it did adds up.
func TestAnArm(t *testing.T) {
	l := New()
	l.Observe(event(result.ArmStarted, 1))
	expect(t, l, "started", "lockjam_arms_running 1")
	// A server that ran before has rejected clients already.
	sampled(l, 1, result.Load{Decisions: 3, Workers: 16, Waiting: 4, Connected: 19, MaxClients: 32, Rejected: 1000})
	sampled(l, 1, result.Load{Decisions: 10, Workers: 64, Waiting: 60, Connected: 32, MaxClients: 32, Rejected: 1007})
	phase := event(result.PhaseEvent, 1)
	for _, phase.Name = range []string{history.Warmup, history.Baseline, history.Incident} {
		l.Observe(phase)
	}
	expect(t, l, "in the incident", "lockjam_arms_running 1",
		"lockjam_arm_phase{"+arm+`,phase="incident",repeat="1",scenario="s"} 1`,
		"lockjam_decisions_total"+counts+"10", "lockjam_rejected_connections_total"+counts+"7",
		"lockjam_workers"+repeat1+"64", "lockjam_waiting_workers"+repeat1+"60", "lockjam_connected_clients"+repeat1+
			"32", "lockjam_maxclients"+repeat1+"32")

	sampled(l, 1, result.Load{Decisions: 10, Workers: 64, Waiting: 60, Connected: 32, MaxClients: 32, Rejected: 1007,
		ErrorReplies: map[string]int64{"OOM": 5}})
	replies := func(n string) string {
		return "lockjam_error_replies_total{" + arm + `,prefix="OOM",scenario="s"} ` + n
	}
	// It does not answer, and comes back from a restart with 5 new rejections.
	sampled(l, 1, result.Load{Decisions: 10, Workers: 64, Waiting: 64, ErrorReplies: map[string]int64{"OOM": 7}})
	expect(t, l, "the server does not answer", "lockjam_arms_running 1",
		"lockjam_arm_phase{"+arm+`,phase="incident",repeat="1",scenario="s"} 1`,
		"lockjam_decisions_total"+counts+"10", "lockjam_rejected_connections_total"+counts+"7",
		"lockjam_workers"+repeat1+"64", "lockjam_waiting_workers"+repeat1+"64", replies("7"))
	sampled(l, 1, result.Load{Decisions: 12, Workers: 64, Waiting: 1, Connected: 66, MaxClients: 100, Rejected: 5})

	// Noise: once more, from the beginning.
	l.Observe(event(result.ArmRepeated, 1))
	l.Observe(event(result.ArmStarted, 1))
	sampled(l, 1, result.Load{Decisions: 8, Workers: 16, Connected: 19, MaxClients: 32})
	phase.Name = history.End
	l.Observe(phase)
	expect(t, l, "the second attempt", "lockjam_arms_running 1", "lockjam_arms_repeated_total"+counts+"1",
		"lockjam_decisions_total"+counts+"20", "lockjam_rejected_connections_total"+counts+"12",
		"lockjam_workers"+repeat1+"16", "lockjam_connected_clients"+repeat1+"19", "lockjam_maxclients"+repeat1+"32",
		replies("7"))

	finished := event(result.ArmFinished, 1)
	finished.Result = &result.Arm{Outcome: result.Pass}
	l.Observe(finished)
	sampled(l, 1, result.Load{Decisions: 9, Workers: 16}) // too late
	expect(t, l, "finished", `lockjam_arms_finished_total{outcome="pass"} 1`, "lockjam_arms_repeated_total"+counts+"1",
		"lockjam_decisions_total"+counts+"20", "lockjam_rejected_connections_total"+counts+"12", replies("7"))
}

// A thousand repeats, several at a time, have as many series as one when they are over.
func TestSeriesAreBounded(t *testing.T) {
	l := New()
	l.Observe(result.Event{Kind: result.RunStarted, Run: &result.Run{ID: "r", Seed: 7}})
	var together sync.WaitGroup
	for from := range 4 {
		together.Go(func() {
			for i := range 250 {
				repeat := from*250 + i + 1
				l.Observe(event(result.ArmStarted, repeat))
				sampled(l, repeat, result.Load{Decisions: 2, Workers: 1, Connected: 1, MaxClients: 9})
				finished := event(result.ArmFinished, repeat)
				finished.Result = &result.Arm{Outcome: result.Fail}
				l.Observe(finished)
			}
		})
	}
	together.Wait()
	expect(t, l, "the end", `lockjam_run_info{id="r",seed="7"} 1`, `lockjam_arms_finished_total{outcome="fail"} 1000`,
		"lockjam_decisions_total"+counts+"2000")
}

// Names come from scenario files, and stay what they are.
func TestHostileNames(t *testing.T) {
	l := New()
	e := result.Event{Kind: result.ArmStarted, Scenario: "a\"} 1\nb", Arm: `\`, Repeat: 1}
	l.Observe(e)
	e.Kind, e.Load = result.Sampled, &result.Load{Decisions: 1}
	l.Observe(e)
	want := fmt.Sprintf(`lockjam_decisions_total{arm="%s",image="",scenario="%s"} 1`, `\\`, `a\"} 1\nb`)
	if lines := scrape(t, l, "text/plain"); !slices.Contains(lines, want) {
		t.Errorf("no %s in\n%s", want, strings.Join(lines, "\n"))
	}
	if len(scrape(t, l, "application/openmetrics-text")) == 0 {
		t.Error("nothing in OpenMetrics")
	}
}
