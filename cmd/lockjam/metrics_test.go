package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// underwayWithMetrics is a run whose workers are at work, and the address of its figures.
func (h *house) underwayWithMetrics() (*underway, string) {
	h.t.Helper()
	// It lasts for as long as the test may look at it.
	h.short("long.yaml", "baseline_ms: 500", "baseline_ms: 20000, baseline_max_ms: 40000")
	u := h.start("run", "long.yaml", "--server", "process", "--arm", "control", "--metrics", "127.0.0.1:0")
	u.until("waits for a steady baseline")
	said := regexp.MustCompile(`(?m)^lockjam: metrics: http://(127\.0\.0\.1:[1-9][0-9]*)/metrics$`).FindStringSubmatch(u.seen.String())
	if said == nil {
		h.t.Fatalf("it does not say where its figures are:\n%s", u.seen.String())
	}
	return u, said[1]
}

// stop ends a run that the test has seen enough of, and nothing answers any more.
func (u *underway) stop(address string) {
	u.h.t.Helper()
	u.signal(syscall.SIGINT)
	u.wait(130)
	if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		_ = conn.Close()
		u.h.t.Errorf("%s answers after the run", address)
	}
	u.h.nothingLeft()
}

func get(t *testing.T, address, accept string) (body []byte, contentType string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err = io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v\n%s", resp.Status, err, body)
	}
	return body, resp.Header.Get("Content-Type")
}

// What a live run tells is what it does, in the form that the libraries read and in
// OpenMetrics, and in names and units that promtool has nothing against.
func TestMetricsOfALiveRun(t *testing.T) {
	h := newHouse(t)
	u, address := h.underwayWithMetrics()
	const labels, counts = `arm="control",image="",repeat="1",scenario="short"`,
		`arm="control",image="",scenario="short"`
	var body []byte
	eventually(t, 10*time.Second, "all sixteen workers have connected", func() bool {
		body, _ = get(t, address, "text/plain")
		return regexp.MustCompile(`(?m)^lockjam_connected_clients{`+labels+`} (1[6-9]|2[0-9])$`).Match(body) &&
			!bytes.Contains(body, []byte("lockjam_decisions_total{"+counts+"} 0\n"))
	})
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	for name, least := range map[string]float64{"lockjam_decisions_total": 1, "lockjam_rejected_connections_total": 0,
		"lockjam_workers": 16, "lockjam_waiting_workers": 0, "lockjam_maxclients": 32, "lockjam_arms_running": 1} {
		family, there := families[name]
		if !there || len(family.Metric) != 1 {
			t.Errorf("no %s in\n%s", name, body)
			continue
		}
		if got := family.Metric[0].GetCounter().GetValue() + family.Metric[0].GetGauge().GetValue(); got < least {
			t.Errorf("%s is %v, want %v at least", name, got, least)
		}
	}
	if !regexp.MustCompile(`(?m)^lockjam_arm_phase{arm="control",image="",phase="(warmup|baseline)",repeat="1",scenario="short"} 1$`).Match(body) {
		t.Errorf("no phase in\n%s", body)
	}
	open, kind := get(t, address, "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") ||
		!bytes.HasSuffix(open, []byte("# EOF\n")) {
		t.Errorf("%s:\n%s", kind, open)
	}
	if resp, err := http.Get("http://" + address + "/"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("/: %v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	t.Run("promtool", func(t *testing.T) {
		cmd := exec.Command(program(t, "promtool", "prometheus"), "check", "metrics")
		cmd.Stdin = bytes.NewReader(body)
		if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("%v\n%s\n%s", err, out, body)
		}
	})
	u.stop(address)
}

// A real Prometheus, which asks for OpenMetrics and parses it.
func TestPrometheusScrapesALiveRun(t *testing.T) {
	h := newHouse(t)
	program(t, "prometheus", "prometheus")
	u, address := h.underwayWithMetrics()
	prom := h.prometheus(address)
	eventually(t, 10*time.Second, "Prometheus has seen work being done", func() bool {
		return len(prom.query(`up == 1 and on (instance) lockjam_connected_clients{scenario="short"} >= 16 and on (instance) rate(lockjam_decisions_total{arm="control"}[10s]) > 0`)) == 1
	})
	u.stop(address)
}

// Nothing is started or written where the figures cannot be served.
func TestMetricsAddress(t *testing.T) {
	h := &house{t: t, dir: t.TempDir(), tmp: t.TempDir()}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, bad := range []struct{ address, says string }{
		{taken.Addr().String(), "cannot listen on " + taken.Addr().String() + ": bind: address already in use"},
		{":9090", ":9090 names no address: 127.0.0.1:9090 is for this machine, 0.0.0.0:9090 and [::]:9090 for everybody"},
		{"9090", `"9090" is not HOST:PORT`},
		{"127.0.0.1:http", `"127.0.0.1:http" is not HOST:PORT`},
		{"127.0.0.1:65536", `"127.0.0.1:65536" is not HOST:PORT`},
	} {
		_, stderr := h.lockjam(64, "run", "healthy", "--metrics", bad.address)
		if want := "lockjam: --metrics: " + bad.says + "; run `lockjam run --help`\n"; stderr != want {
			t.Errorf("%s: %q, want %q", bad.address, stderr, want)
		}
	}
	if left, err := os.ReadDir(h.dir); err != nil || len(left) > 0 {
		t.Errorf("%v was written, %v", left, err)
	}
}

// What is named is listened on, and nothing besides: 0.0.0.0 is every address of IPv4, and none of IPv6.
func TestMetricsListenOnWhatIsNamed(t *testing.T) {
	for named, other := range map[string]string{"0.0.0.0": "::1", "::": "127.0.0.1"} {
		x, err := expose(newRun(), net.JoinHostPort(named, "0"))
		if err != nil {
			t.Skipf("%s: %v", named, err)
		}
		port := strings.TrimSuffix(x.url, "/metrics")
		port = port[strings.LastIndex(port, ":")+1:]
		same := map[string]string{"0.0.0.0": "127.0.0.1", "::": "::1"}[named]
		if conn, err := net.DialTimeout("tcp", net.JoinHostPort(same, port), time.Second); err != nil {
			t.Errorf("%s: %s does not answer: %v", named, same, err)
		} else {
			_ = conn.Close()
		}
		if conn, err := net.DialTimeout("tcp", net.JoinHostPort(other, port), time.Second); err == nil {
			_ = conn.Close()
			t.Errorf("%s: %s answers as well", named, other)
		}
		x.close()
	}
}
