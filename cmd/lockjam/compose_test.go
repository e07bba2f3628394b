package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
)

// What README says of docker-compose.yml: bring it up, and run against it.
func TestServerOfDockerCompose(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds, and -short is set")
	}
	compose, image := composeCommand(t), localImage(t)
	h := &house{t: t, dir: t.TempDir(), tmp: t.TempDir()}
	h.write("short.yaml", readFile(t, "testdata/short.yaml"))
	port := strconv.Itoa(freePort(t))
	file, err := filepath.Abs("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	up := func(args ...string) {
		t.Helper()
		cmd := exec.Command(compose[0],
			append(compose[1:], append([]string{"-p", "lockjam-test-" + port, "-f", file}, args...)...)...)
		cmd.Env = append(os.Environ(), "LOCKJAM_REDIS_IMAGE="+image, "LOCKJAM_REDIS_PORT="+port,
			"LOCKJAM_MAXCLIENTS=32")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", compose, args, err, out)
		}
	}
	t.Cleanup(func() { up("down", "--timeout", "1") })
	up("up", "-d")

	stdout, _ := h.lockjam(0, "run", "short.yaml", "--arm", "control", "--server", "redis://127.0.0.1:"+port)
	if !strings.Contains(stdout, "outcome: pass") {
		t.Errorf("stdout:\n%s", stdout)
	}
	r := h.run()
	if arm := r.Scenarios[0].Arms[0]; arm.Verdict != result.NoEffect || arm.Reproduced == nil || !*arm.Reproduced {
		t.Errorf("%+v", arm)
	}
	if kind := r.Environment.Server.Kind; kind != server.KindAddress {
		t.Errorf("the server is recorded as %q", kind)
	}
	h.nothingLeft()
}

func composeCommand(t *testing.T) []string {
	t.Helper()
	for _, c := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(c[0], append(c[1:], "version")...).Run() == nil {
			return c
		}
	}
	t.Skip("neither docker compose nor docker-compose is here")
	return nil
}

func localImage(t *testing.T) string {
	t.Helper()
	for _, image := range []string{os.Getenv("LOCKJAM_REDIS_IMAGE"), server.DefaultImage, server.LocalImage} {
		if image != "" && exec.Command("docker", "image", "inspect", image).Run() == nil {
			return image
		}
	}
	t.Skip("Docker does not answer, or has no image of a Redis: scripts/setup.sh --tests gets or builds one")
	return ""
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
