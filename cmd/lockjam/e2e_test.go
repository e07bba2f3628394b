package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/rundir"
)

// endsWithin bounds every lockjam that a test starts.
const endsWithin = 90 * time.Second

// house is where a test's runs live: a working folder, and a folder for
// temporary files that nothing else uses, so that whatever is left in it is ours.
type house struct {
	t        *testing.T
	dir, tmp string
}

// newHouse skips the test where no server can be started as a process.
func newHouse(t *testing.T) *house {
	t.Helper()
	serverBinary(t)
	h := &house{t: t, dir: t.TempDir(), tmp: t.TempDir()}
	h.write("short.yaml", readFile(t, "testdata/short.yaml"))
	return h
}

// serverBinary finds what --server process would.
func serverBinary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds, and -short is set")
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("neither redis-server nor valkey-server is on PATH: scripts/setup.sh --tests installs one")
	return ""
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (h *house) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// short writes a variant of short.yaml. Every old text has to be there.
func (h *house) short(file string, oldnew ...string) {
	h.t.Helper()
	text := readFile(h.t, "testdata/short.yaml")
	for pair := range slices.Chunk(oldnew, 2) {
		if !strings.Contains(text, pair[0]) {
			h.t.Fatalf("short.yaml has no %q", pair[0])
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	h.write(file, text)
}

// command is lockjam in this house, with none of the caller's LOCKJAM_* and
// nothing that changes how it writes.
func (h *house) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), endsWithin)
	h.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "lockjam", args...)
	cmd.Dir = h.dir
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "LOCKJAM_") &&
			!slices.Contains([]string{"CI", "NO_COLOR", "TERM", "TMPDIR"}, name) {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+h.tmp)
	return cmd
}

// lockjam runs to the end.
func (h *house) lockjam(wantCode int, args ...string) (stdout, stderr string) {
	h.t.Helper()
	var out, log bytes.Buffer
	cmd := h.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	h.ends(cmd.Run(), wantCode, "%v\n%s%s", args, &out, &log)
	return out.String(), log.String()
}

func (h *house) ends(err error, wantCode int, format string, args ...any) {
	h.t.Helper()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		h.t.Fatal(err)
	}
	said := fmt.Sprintf(format, args...)
	if code != wantCode {
		h.t.Fatalf("exit code %d, want %d: %s", code, wantCode, said)
	}
}

// underway is a run that the test does something to.
type underway struct {
	h    *house
	cmd  *exec.Cmd
	log  *bufio.Reader // stderr
	seen strings.Builder
	out  bytes.Buffer
}

func (h *house) start(args ...string) *underway {
	h.t.Helper()
	u := &underway{h: h, cmd: h.command(args...)}
	pipe, err := u.cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	u.cmd.Stdout, u.log = &u.out, bufio.NewReader(pipe)
	if err := u.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = u.cmd.Process.Kill() })
	return u
}

// until reads stderr up to a line with this in it.
func (u *underway) until(text string) {
	u.h.t.Helper()
	for {
		line, err := u.log.ReadString('\n')
		u.seen.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			u.h.t.Fatalf("lockjam ended and never said %q:\n%s", text, u.seen.String())
		}
	}
}

func (u *underway) signal(s os.Signal) {
	u.h.t.Helper()
	if err := u.cmd.Process.Signal(s); err != nil {
		u.h.t.Fatal(err)
	}
}

// wait reads the rest of stderr and returns how long the end took to come.
func (u *underway) wait(wantCode int) time.Duration {
	u.h.t.Helper()
	begun := time.Now()
	rest, _ := io.ReadAll(u.log)
	u.seen.Write(rest)
	u.h.ends(u.cmd.Wait(), wantCode, "%s%s", u.out.String(), u.seen.String())
	return time.Since(begun)
}

// run reads run.json of the last run.
func (h *house) run() *result.Run {
	h.t.Helper()
	r, err := rundir.Load(filepath.Join(h.dir, "results", "latest"))
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// nothingLeft looks for whatever a run may leave: processes, folders for
// temporary files, and containers.
func (h *house) nothingLeft() {
	h.t.Helper()
	if left := h.processes(); len(left) > 0 {
		h.t.Errorf("processes are left: %v", left)
	}
	left, err := filepath.Glob(filepath.Join(h.tmp, "lockjam-*"))
	if err != nil || len(left) > 0 {
		h.t.Errorf("folders are left: %v %v", left, err)
	}
	if left := containers(h.run().ID); len(left) > 0 {
		h.t.Errorf("containers are left: %v", left)
	}
}

// processes lists servers of this house's runs. Redis overwrites the arguments
// that it was started with, so its working folder counts as well.
func (h *house) processes() (pids []int) {
	h.t.Helper()
	if runtime.GOOS != "linux" {
		out, err := exec.Command("ps", "-axo", "pid=,args=").Output()
		if err != nil {
			h.t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if fields := strings.Fields(line); strings.Contains(line, h.tmp) {
				pid, _ := strconv.Atoi(fields[0])
				pids = append(pids, pid)
			}
		}
		return pids
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, dir := range all {
		// A process may end while it is looked at: errors mean that it has.
		cwd, _ := os.Readlink(filepath.Join(dir, "cwd"))
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.HasPrefix(cwd, h.tmp) || bytes.Contains(args, []byte(h.tmp)) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids
}

// containers lists those of a run, where Docker answers.
func containers(runID string) []string {
	out, err := exec.Command("docker", "ps", "-aq", "--filter", "label=dev.lockjam.run="+runID).Output()
	if err != nil {
		return nil
	}
	return strings.Fields(string(out))
}

func TestRunPasses(t *testing.T) {
	h := newHouse(t)
	stdout, stderr := h.lockjam(0, "run", "short.yaml", "--server", "process", "--seed", "7")
	r := h.run()
	for _, want := range []string{"outcome: pass\n", "seed: 7\n", "report: results/" + r.ID + "/report.md\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout)
		}
	}
	for _, want := range []string{"short/control: trigger surge", "short/raise-maxclients-live: step: CONFIG SET",
		"short/control: pass, no-effect", "short/raise-maxclients-live: pass, cured"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr)
		}
	}
	if strings.Contains(stdout+stderr, "\x1b") {
		t.Errorf("escape sequences where there is no terminal:\n%q", stdout+stderr)
	}
	if r.Status != result.Completed || r.Outcome != result.Pass || r.Seed != 7 {
		t.Errorf("run.json: status %s, outcome %s, seed %d", r.Status, r.Outcome, r.Seed)
	}
	h.nothingLeft()

	// The recorded run gives the same answer offline, and as often as one likes.
	for range 2 {
		again, _ := h.lockjam(0, "judge", "results/latest")
		if !strings.Contains(again, "outcome: pass\nchanged: nothing\n") {
			t.Errorf("judged again: %s", again)
		}
	}
	// What turns depends on the machine; that it is said does not, and nothing is changed.
	before := readFile(t, filepath.Join(h.dir, "results/latest/run.json"))
	narrow, _ := h.lockjam(0, "judge", "results/latest", "--margin", "99")
	if !strings.Contains(narrow, "changed: nothing\nmargins: ") ||
		!strings.Contains(narrow, "where a number is 99% off\n") {
		t.Errorf("margins: %s", narrow)
	}
	if readFile(t, filepath.Join(h.dir, "results/latest/run.json")) != before {
		t.Error("asking for margins changed run.json")
	}
	if md, _ := h.lockjam(0, "report", "results/latest"); md != readFile(t,
		filepath.Join(h.dir, "results/latest/report.md")) {
		t.Errorf("report.md is not what report writes:\n%s", md)
	}
	if page, _ := h.lockjam(0, "report", "results/latest", "--format", "html"); page != readFile(t,
		filepath.Join(h.dir, "results/latest/report.html")) {
		t.Error("report.html is not what report writes")
	}
}

func TestRunFails(t *testing.T) {
	h := newHouse(t)
	h.short("wrong.yaml", "expect: {verdict: no-effect}", "expect: {verdict: cured}")
	stdout, stderr := h.lockjam(1, "run", "wrong.yaml", "--server", "process", "--arm", "control", "--quiet")
	if !strings.Contains(stdout, "fail: short/control: remedy none was expected to be cured and was no-effect") ||
		!strings.Contains(stdout, "outcome: fail\n") {
		t.Errorf("stdout does not say what failed:\n%s", stdout)
	}
	if stderr != "" {
		t.Errorf("--quiet, and stderr says %s", stderr)
	}
	h.nothingLeft()
	h.lockjam(1, "judge", "results/latest")
}

// A surge for which there are slots enough is no incident: nothing can be said.
func TestRunIsInconclusive(t *testing.T) {
	h := newHouse(t)
	h.short("calm.yaml", "maxclients: 32", "maxclients: 512")
	stdout, _ := h.lockjam(2, "run", "calm.yaml", "--server", "process", "--arm", "control")
	if !strings.Contains(stdout, "inconclusive: short/control: the incident was not reproduced") {
		t.Errorf("stdout does not say why:\n%s", stdout)
	}
	h.nothingLeft()
}

func TestUnknownArm(t *testing.T) {
	h := newHouse(t)
	_, stderr := h.lockjam(64, "run", "short.yaml", "--server", "process", "--arm", "nobody")
	if want := "lockjam: no scenario of this run has an arm \"nobody\"\n"; stderr != want {
		t.Errorf("stderr: %q, want %q", stderr, want)
	}
}

func TestJSONStream(t *testing.T) {
	h := newHouse(t)
	stdout, stderr := h.lockjam(0, "run", "short.yaml", "--server", "process", "--arm", "control", "--json", "--repeat",
		"2")
	var kinds []result.EventKind
	samples := 0
	var last result.Event
	for line := range strings.Lines(stdout) {
		last = result.Event{}
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&last); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds = append(kinds, last.Kind)
		if last.Seq != int64(len(kinds)) {
			t.Errorf("event %d has the number %d", len(kinds), last.Seq)
		}
		if last.Kind == result.Sampled && last.Load != nil && last.Load.MaxClients == 32 {
			samples++
		}
	}
	if kinds[0] != result.RunStarted || last.Kind != result.RunFinished || last.Run.Outcome != result.Pass {
		t.Errorf("the stream begins with %s and ends with %+v", kinds[0], last)
	}
	if samples < 20 || !slices.Contains(kinds, result.ArmFinished) {
		t.Errorf("%d samples among %d events", samples, len(kinds))
	}
	if stderr != "" {
		t.Errorf("stderr is for errors, and says %s", stderr)
	}
	if arms := h.run().Scenarios[0].Arms; len(arms) != 2 {
		t.Errorf("%d results of 2 repeats", len(arms))
	}
	h.nothingLeft()
}

// lockjam run --json | head -1: no reader is left, so the run stops, and cleans up.
func TestJSONReaderGoesAway(t *testing.T) {
	h := newHouse(t)
	cmd := h.command("run", "short.yaml", "--server", "process", "--json")
	var log bytes.Buffer
	cmd.Stderr = &log
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(pipe).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = pipe.Close()
	h.ends(cmd.Wait(), 69, "%s", &log)
	if !strings.Contains(log.String(), "lockjam: cannot write events to stdout: ") {
		t.Errorf("stderr: %s", &log)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("one error, and %d lines: %s", n, &log)
	}
	h.nothingLeft()
}

func TestInterrupt(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			h := newHouse(t)
			u := h.start("run", "short.yaml", "--server", "process")
			u.until("trigger surge")
			u.signal(s)
			u.signal(s) // as timeout(1) does: it counts as one
			if took := u.wait(130); took > 3*time.Second {
				t.Errorf("it took %v to stop", took)
			}
			name := map[syscall.Signal]string{syscall.SIGINT: "SIGINT", syscall.SIGTERM: "SIGTERM"}[s]
			for _, want := range []string{"lockjam: stopping: cleaning up (again: at once)\n",
				"lockjam: interrupted by " + name + "\n"} {
				if !strings.Contains(u.seen.String(), want) {
					t.Errorf("stderr lacks %q:\n%s", want, u.seen.String())
				}
			}
			if r := h.run(); r.Status != result.Interrupted || r.Outcome == result.Pass {
				t.Errorf("run.json: status %s, outcome %s", r.Status, r.Outcome)
			}
			if md := readFile(t, filepath.Join(h.dir, "results/latest/report.md")); !strings.Contains(md,
				"interrupted") {
				t.Errorf("report.md does not say that it is of a part:\n%s", md)
			}
			if page := readFile(t, filepath.Join(h.dir, "results/latest/report.html")); !strings.Contains(page,
				"The run was interrupted.") {
				t.Error("report.html does not say that it is of a part")
			}
			h.nothingLeft()
			h.lockjam(2, "judge", "results/latest")
		})
	}
}

// A server that does not answer keeps the first signal's cleaning up waiting.
// The second one does not wait; what it leaves behind is swept.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	h := newHouse(t)
	other := theirs(t, "32")
	u := h.start("run", "short.yaml", "--server", other.url, "--arm", "control")
	u.until("trigger surge")
	other.freeze()
	u.signal(syscall.SIGINT)
	u.until("stopping: cleaning up")
	u.signal(syscall.SIGINT) // too early: an echo of the first
	time.Sleep(2 * echo)
	if left, _ := filepath.Glob(filepath.Join(h.tmp, "lockjam-*")); len(left) == 0 {
		t.Error("the run was over before the second signal, which shows nothing then")
	}
	u.signal(syscall.SIGINT)
	if took := u.wait(130); took > time.Second {
		t.Errorf("it took %v to stop", took)
	}
	h.lockjam(0, "clean")
	h.nothingLeft()
}

func TestKillThenClean(t *testing.T) {
	h := newHouse(t)
	u := h.start("run", "short.yaml", "--server", "process")
	u.until("trigger surge")
	u.signal(syscall.SIGKILL)
	u.wait(-1)
	left := h.processes()
	if len(left) == 0 {
		t.Fatal("no server was left behind: there is nothing to show")
	}
	stdout, stderr := h.lockjam(0, "clean")
	if !strings.Contains(stdout, fmt.Sprintf("process %d", left[0])) || !strings.Contains(stdout, "folder "+h.tmp) ||
		stderr != "" {
		t.Errorf("clean does not say what it removed:\n%s%s", stdout, stderr)
	}
	h.nothingLeft()
	if stdout, _ := h.lockjam(0, "clean"); stdout != "nothing left behind\n" {
		t.Errorf("clean once more: %s", stdout)
	}
	if r := h.run(); r.Status != result.Interrupted {
		t.Errorf("run.json of a killed run has status %s", r.Status)
	}
	h.lockjam(2, "judge", "results/latest")
}

// The next run sweeps, and says so in one line.
func TestRunSweepsFirst(t *testing.T) {
	h := newHouse(t)
	u := h.start("run", "short.yaml", "--server", "process")
	u.until("trigger surge")
	u.signal(syscall.SIGKILL)
	u.wait(-1)
	_, stderr := h.lockjam(0, "run", "short.yaml", "--server", "process", "--arm", "control")
	if want := "lockjam: removed what 1 killed run had left behind: 2 server processes, 0 containers, 1 folder\n"; !strings.HasPrefix(stderr, want) {
		t.Errorf("stderr:\n%swant it to begin with:\n%s", stderr, want)
	}
	h.nothingLeft()
}

// A killed run that used containers leaves those.
func TestKillThenCleanContainers(t *testing.T) {
	h := newHouse(t)
	const image = "lockjam-redis:local"
	if err := exec.Command("docker", "image", "inspect", image).Run(); err != nil {
		t.Skipf("Docker does not answer or has no image %s: scripts/setup.sh --tests builds it", image)
	}
	u := h.start("run", "short.yaml", "--server", "container", "--image", image, "--arm", "control")
	u.until("trigger surge")
	u.signal(syscall.SIGKILL)
	u.wait(-1)
	if len(containers(h.run().ID)) == 0 {
		t.Fatal("no container was left behind: there is nothing to show")
	}
	if stdout, _ := h.lockjam(0, "clean"); !strings.Contains(stdout, "container") {
		t.Errorf("clean does not say what it removed:\n%s", stdout)
	}
	h.nothingLeft()
}

// otherServer belongs to the test and not to lockjam. It has keys that look like
// the runbook's locks.
type otherServer struct {
	t       *testing.T
	url     string
	addr    string // host:port
	client  *redis.Client
	process *os.Process
}

func theirs(t *testing.T, maxclients string, more ...string) *otherServer {
	t.Helper()
	binary := serverBinary(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	_ = l.Close()
	cmd := exec.Command(binary, append([]string{"--port", strconv.Itoa(addr.Port), "--bind", "127.0.0.1", "--save", "",
		"--maxclients", maxclients}, more...)...)
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It is not there at once, hence the retries, and must not hold a slot while
	// lockjam runs, hence the idle time.
	client := redis.NewClient(&redis.Options{Addr: addr.String(), MaxRetries: 100, PoolSize: 1,
		ConnMaxIdleTime: time.Millisecond})
	t.Cleanup(func() {
		_ = client.Close()
		_ = cmd.Process.Kill() // ends a frozen one, too
		_ = cmd.Wait()
	})
	for _, key := range []string{"lock:theirs", "theirs"} {
		if err := client.Set(context.Background(), key, "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return &otherServer{t: t, url: "redis://" + addr.String(), addr: addr.String(), client: client,
		process: cmd.Process}
}

func (o *otherServer) freeze() {
	o.t.Helper()
	if err := o.process.Signal(syscall.SIGSTOP); err != nil {
		o.t.Fatal(err)
	}
}

// untouched checks that the server is as it was.
func (o *otherServer) untouched(maxclients string) {
	o.t.Helper()
	ctx := context.Background()
	keys, err := o.client.Keys(ctx, "*").Result()
	slices.Sort(keys)
	if err != nil || !slices.Equal(keys, []string{"lock:theirs", "theirs"}) {
		o.t.Errorf("the server's keys are %q, %v", keys, err)
	}
	if limit, err := o.client.ConfigGet(ctx, "maxclients").Result(); err != nil || limit["maxclients"] != maxclients {
		o.t.Errorf("the server's limit is %v, %v; it was %s", limit, err, maxclients)
	}
}

// reserved is an arm that deletes locks: the run's own and no others.
const reserved = `arms:
  - name: release-stale-locks-reserved
    why: It deletes the run's locks.
    remedy: release-stale-locks
    params: {connection: control}
    expect: {verdict: relapsed}
`

func TestServerOfSomebodyElse(t *testing.T) {
	h := newHouse(t)
	h.short("theirs.yaml", "arms:\n", reserved)
	other := theirs(t, "32")
	stdout, stderr := h.lockjam(2, "run", "theirs.yaml", "--server", other.url, "--parallel", "4")
	if want := "lockjam: --parallel: arms run one after the other on a server that lockjam did not start\n"; !strings.HasPrefix(stderr, want) {
		t.Errorf("stderr does not begin with %q:\n%s", want, stderr)
	}
	if !strings.Contains(stdout, "inconclusive: short/raise-maxclients-live: the remedy was not tried") {
		t.Errorf("stdout:\n%s", stdout)
	}
	for _, arm := range h.run().Scenarios[0].Arms {
		if arm.Remedy != "raise-maxclients-live" && arm.Outcome != result.Pass {
			t.Errorf("arm %s: %s: %v", arm.Name, arm.Outcome, arm.Reasons)
		}
	}
	other.untouched("32")
	h.nothingLeft()
}

// With leave to do so its limit is changed, for the scenario and by the remedy,
// and put back.
func TestServerOfSomebodyElseWithLeave(t *testing.T) {
	h := newHouse(t)
	other := theirs(t, "200")
	cmd := h.command("run", "short.yaml", "--server", other.url, "--arm", "raise-maxclients-live")
	cmd.Env = append(cmd.Env, "LOCKJAM_ALLOW_DESTRUCTIVE=true")
	out, err := cmd.CombinedOutput()
	h.ends(err, 0, "%s", out)
	if strings.Contains(string(out), "one after the other") {
		t.Errorf("a note about --parallel, and nobody has asked for it:\n%s", out)
	}
	other.untouched("200")
	h.nothingLeft()
}

// It is put back after every arm, also where it was right to begin with: the
// next arm would take what a remedy left for the server's own setting.
func TestServerOfSomebodyElseIsPutBackAfterEveryArm(t *testing.T) {
	h := newHouse(t)
	other := theirs(t, "32")
	h.lockjam(0, "run", "short.yaml", "--server", other.url, "--arm", "raise-maxclients-live", "--repeat", "2",
		"--allow-destructive")
	other.untouched("32")
	h.nothingLeft()
}

// The first thing that a user with the usual 10000 sees.
func TestServerOfSomebodyElseWithAnotherLimit(t *testing.T) {
	h := newHouse(t)
	other := theirs(t, "200")
	_, stderr := h.lockjam(64, "run", "short.yaml", "--server", other.url, "--arm", "control", "--quiet")
	if !strings.Contains(stderr, "has maxclients 200 and short needs 32: set it there, or allow lockjam to with --allow-destructive") {
		t.Errorf("stderr: %s", stderr)
	}
	other.untouched("200")
}

// A signal in mid-run puts the server back as well.
func TestInterruptOnServerOfSomebodyElse(t *testing.T) {
	h := newHouse(t)
	other := theirs(t, "200")
	u := h.start("run", "short.yaml", "--server", other.url, "--arm", "control", "--allow-destructive")
	u.until("trigger surge")
	u.signal(syscall.SIGINT)
	u.wait(130)
	other.untouched("200")
	h.nothingLeft()
}
