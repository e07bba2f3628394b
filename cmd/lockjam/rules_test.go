package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prometheus is a real one that scrapes every second.
type prometheus struct {
	t   *testing.T
	url string
}

// program finds one that the test needs, or skips it.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not on PATH: scripts/setup.sh --tests installs it (Debian's package %s)", name, debian)
	}
	return path
}

// freeAddress is one of loopback that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// background starts a program that ends with the test.
func background(t *testing.T, path string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(path), text)
		}
	})
}

// eventually waits for something, asking five times a second.
func eventually(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Since(begun) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func answers(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

const promConfig = `global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [lockjam.rules.yml]
scrape_configs:
  - job_name: test
    static_configs: [{targets: [%q]}]
`

// prometheus scrapes a target every second, and evaluates lockjam.rules.yml, if it is
// there.
func (h *house) prometheus(target string) *prometheus {
	h.t.Helper()
	web := freeAddress(h.t)
	h.write("prometheus.yml", fmt.Sprintf(promConfig, target))
	background(h.t, program(h.t, "prometheus", "prometheus"), "--config.file", filepath.Join(h.dir, "prometheus.yml"),
		"--storage.tsdb.path", h.t.TempDir(), "--web.listen-address", web)
	p := &prometheus{h.t, "http://" + web}
	eventually(h.t, 20*time.Second, "Prometheus is ready", func() bool { return answers(p.url + "/-/ready") })
	return p
}

// exporter serves the figures of a Redis.
func (h *house) exporter(redis string) (address string) {
	h.t.Helper()
	address = freeAddress(h.t)
	background(h.t, program(h.t, "prometheus-redis-exporter", "prometheus-redis-exporter"), "-redis.addr", redis,
		"-web.listen-address", address)
	eventually(h.t, 10*time.Second, "the exporter answers",
		func() bool { return answers("http://" + address + "/metrics") })
	return address
}

// query asks for the present value of every series of an expression.
func (p *prometheus) query(expr string) map[string]float64 {
	p.t.Helper()
	resp, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != "" {
		p.t.Fatalf("%s: %s %v", expr, answer.Error, err)
	}
	values := map[string]float64{}
	for _, r := range answer.Data.Result {
		values[r.Metric["alertname"]], _ = strconv.ParseFloat(r.Value[1].(string), 64)
	}
	return values
}

// firing lists the alerts that fire.
func (p *prometheus) firing() []string {
	p.t.Helper()
	return slices.Sorted(maps.Keys(p.query(`sum by (alertname) (ALERTS{alertstate="firing"})`)))
}

// A real incident, through the eyes of Prometheus: while all is well nothing fires; in the
// deadlock the exporter is as locked out as everybody, and that is the alert; what the
// runbook wants to be alerted on comes when it is over.
func TestAlertsOfARealIncident(t *testing.T) {
	h := newHouse(t)
	// Room for four refused scrapes and more, and afterwards for two that are not.
	h.short("long.yaml", "baseline_ms: 500", "baseline_ms: 500, baseline_max_ms: 30000", "incident_ms: 1600",
		"incident_ms: 14000", "recovery_ms: 1200", "recovery_ms: 6000")
	other := theirs(t, "32")
	program(t, "prometheus", "prometheus")
	h.lockjam(0, "rules", "--interval", "1s", "--output", "lockjam.rules.yml")
	prom := h.prometheus(h.exporter(other.url))
	eventually(t, 10*time.Second, "Prometheus sees Redis", func() bool { return len(prom.query("redis_up == 1")) == 1 })

	u := h.start("run", "long.yaml", "--server", other.url, "--arm", "raise-maxclients-live", "--allow-destructive")
	u.until("trigger surge")
	if fired := prom.query(`sum by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1h]))`); len(fired) > 0 {
		t.Errorf("alerts while nothing was wrong: %v", fired)
	}
	eventually(t, 13*time.Second, "RedisExporterLockedOut fires",
		func() bool { return slices.Contains(prom.firing(), "RedisExporterLockedOut") })
	want := []string{"RedisExporterLockedOut"}
	// A scrape in the very moment of the surge may have read it.
	if len(prom.query("max_over_time(redis_connected_clients[1h]) > 0.8 * 32")) > 0 {
		want = []string{"RedisExporterLockedOut", "RedisSlotsNearlyTaken"}
	}
	for _, alert := range prom.firing() {
		if !slices.Contains(want, alert) {
			t.Errorf("%s fires in the deadlock; expected %q", alert, want)
		}
	}
	if seen := prom.query(`redis_connected_clients or redis_rejected_connections_total or redis_commands_processed_total`); len(seen) > 0 {
		t.Errorf("the exporter read figures of a server that is full: %v", seen)
	}

	u.until("remedy applied")
	eventually(t, 5*time.Second, "after the cure the runbook's alert on rejections fires, and the one that is locked out clears", func() bool {
		now := prom.firing()
		return slices.Contains(now, "RunbookConnectionsRejected") && slices.Contains(now, "RedisConnectionsRejected") &&
			!slices.Contains(now, "RedisExporterLockedOut")
	})
	for _, never := range []string{"RunbookLatencyOver10ms", "RedisSlowCommand", "RedisUnanswered"} {
		if n := prom.query(`sum by (alertname) (count_over_time(ALERTS{alertname="` + never + `"}[1h]))`); len(n) > 0 {
			t.Errorf("%s fired or was about to: %v", never, n)
		}
	}
	u.signal(syscall.SIGINT)
	_ = u.cmd.Wait() // what the run says of its remedy is not the question here
	h.nothingLeft()
}

func TestRulesCommand(t *testing.T) {
	h := &house{t: t, dir: t.TempDir(), tmp: t.TempDir()}
	stdout, _ := h.lockjam(0, "rules")
	if stdout != readFile(t, "../../docs/lockjam.rules.yml") {
		t.Error("it does not write what docs/lockjam.rules.yml has")
	}
	h.lockjam(0, "rules", "--output", "mine.yml", "--interval", "1m")
	if text := readFile(t, filepath.Join(h.dir, "mine.yml")); !strings.Contains(text, "[4m]") ||
		!strings.Contains(text, "offset 20m") {
		t.Errorf("windows of a minute's scrapes: %s", text)
	}
	for _, bad := range []struct{ value, says string }{
		{"10ms", "lockjam: --interval: 10ms is not between 100ms and 2m0s; run `lockjam rules --help`\n"},
		{"15", "lockjam: --interval: \"15\" is not a time with its unit, such as 30s; "},
	} {
		if _, stderr := h.lockjam(64, "rules", "--interval", bad.value); !strings.HasPrefix(stderr, bad.says) ||
			strings.Count(stderr, "\n") != 1 {
			t.Errorf("--interval %s: %s", bad.value, stderr)
		}
	}
	if _, stderr := h.lockjam(64, "rules", "--output", "no/such/folder.yml"); !strings.HasPrefix(stderr,
		"lockjam: --output: ") {
		t.Errorf("a folder that is not there: %s", stderr)
	}
}
