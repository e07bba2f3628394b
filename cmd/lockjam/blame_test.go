package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/result"
)

// fails runs lockjam and checks its exit code, and that it has one line to say, which has
// these words in it.
func (h *house) fails(wantCode int, words string, args ...string) {
	h.t.Helper()
	_, stderr := h.lockjam(wantCode, args...)
	h.says(stderr, words)
}

func (h *house) says(stderr, words string) {
	h.t.Helper()
	if !strings.Contains(stderr, words) || strings.Count(stderr, "\n") != 1 ||
		strings.Contains(stderr, "internal error") {
		h.t.Errorf("want one line with %q, got:\n%s", words, stderr)
	}
}

// What Redis does not take of a scenario is the scenario's fault, at the line of the
// directive, with Redis's own words.
func TestDirectiveThatRedisRefuses(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ name, directive, want string }{
		{"one that it names", "maxmemory-policy: nonsense",
			":15:23: server.config.maxmemory-policy: Redis does not take it: 'maxmemory-policy nonsense': argument(s) must be one of the following: "},
		{"a number, which is text here", "hz: -x", ":15:9: server.config.hz: Redis does not take it: 'hz -x': "},
		// Redis names none, and the warning that memory may not be overcommitted comes first.
		{"rules for users that it cannot read", "user: default +@nonsense",
			":15:11: server.config.user: Redis does not start with it: Error loading ACL rule '+@nonsense'"},
		{"a user who may not be asked for anything", "user: default on nopass ~* +@all -info",
			":15:11: server.config.user: lockjam cannot use a server that is set up so: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.short("odd.yaml", `appendonly: "no"`, "appendonly: \"no\"\n    "+c.directive)
			stdout, stderr := h.lockjam(64, "run", "odd.yaml", "--arm", "control", "--server", "process", "--quiet")
			if !strings.HasPrefix(stderr, "odd.yaml"+c.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s%s\nwant odd.yaml%s", stdout, stderr, c.want)
			}
			h.nothingLeft()
		})
	}
	// Where an arm sets it, the line is the arm's.
	h.short("arm.yaml", "  - name: raise-maxclients-live\n",
		"  - {name: odd, prevention: odd, server: {config: {hz: lots}}}\n  - name: raise-maxclients-live\n")
	h.fails(64, ": arms[1].server.config.hz: Redis does not take it: 'hz lots'", "run", "arm.yaml", "--arm", "odd",
		"--server", "process", "--quiet")
	h.nothingLeft()
}

// What this machine lacks is 69, with what to do about it.
func TestMachineThatLacksSomething(t *testing.T) {
	h := newHouse(t)
	h.write("low.yaml", strings.Replace(readFile(t, "testdata/short.yaml"), "maxclients: 32", "maxclients: 64", 1))
	for _, c := range []struct{ name, limit, file, want string }{
		{"descriptors for the workers", "ulimit -n 64", "short.yaml",
			"too many open files: raise the limit of open files (ulimit -n)"},
		{"descriptors for any server", "ulimit -n 20", "short.yaml", "open"},
		{"descriptors for so many clients", "ulimit -n 64", "low.yaml", "runs with maxclients 32 instead of 64"},
		{"room for the recording", "ulimit -f 4", "short.yaml",
			"file too large: raise the limit of the file size (ulimit -f)"},
		{"a folder for temporary files", "export TMPDIR=/no/such", "short.yaml",
			"cannot create a folder for temporary files: stat /no/such: no such file or directory: set TMPDIR to a writable folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := h.command()
			shell := exec.Command("sh", "-c", c.limit+` && exec "$0" run `+c.file+
				` --arm control --server process --quiet`, cmd.Path)
			shell.Dir, shell.Env = cmd.Dir, cmd.Env
			var stderr strings.Builder
			shell.Stderr = &stderr
			h.ends(shell.Run(), 69, "%s", &stderr)
			if !strings.Contains(stderr.String(), c.want) || strings.Contains(stderr.String(), "internal error") {
				t.Errorf("%s\nwant %q", &stderr, c.want)
			}
			h.nothingLeft()
		})
	}
}

// A running server that refuses the login, or forbids what lockjam cannot do
// without, is found out before anything is written to it.
func TestServerThatForbids(t *testing.T) {
	h := newHouse(t)
	other := theirs(t, "32")
	users := map[string]string{"noconfig": "-config -info", "noinfo": "-info", "noscan": "-scan", "nodel": "-del",
		"noping": "-ping"}
	for name, rules := range users {
		rule := append([]any{"ACL", "SETUSER", name, "on", ">p@ss/w", "~*", "&*", "+@all"}, fields(rules)...)
		if err := other.client.Do(context.Background(), rule...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.client.Do(context.Background(), "ACL", "SETUSER", "nokeys", "on", ">p@ss/w", "&*",
		"+@all").Err(); err != nil {
		t.Fatal(err)
	}
	url := func(user, password string) string { return "redis://" + user + ":" + password + "@" + other.addr }
	for _, c := range []struct{ url, want string }{
		{url("noconfig", "p%40ss%2Fw"), "NOPERM"},
		{url("noinfo", "p%40ss%2Fw"), "NOPERM"},
		{url("noscan", "p%40ss%2Fw"), "NOPERM"},
		{url("nodel", "p%40ss%2Fw"), "NOPERM"},
		{url("nokeys", "p%40ss%2Fw"), "NOPERM"},
		{url("noping", "p%40ss%2Fw"), "NOPERM"},
		{url("noinfo", "wrong-secret"), "WRONGPASS"},
		{other.url + "/99", "DB index is out of range"},
	} {
		h.fails(69, c.want, "run", "short.yaml", "--arm", "control", "--quiet", "--server", c.url)
		other.untouched("32")
	}
	h.fails(69, "DB index is out of range", "watch", other.url+"/99", "--for", "1s")
	h.fails(69, "percent-encode", "watch", url("noinfo", "wrong-secret"), "--for", "1s")
	h.nothingLeft()
}

func fields(text string) []any {
	var all []any
	for _, field := range strings.Fields(text) {
		all = append(all, field)
	}
	return all
}

// TLS and plain mixed up is told both ways, and a certificate that is not known here is
// taken where the user says so.
func TestServerWithTLS(t *testing.T) {
	h := newHouse(t)
	certificate := selfSigned(t, h.dir)
	port := strconv.Itoa(freePort(t))
	other := theirs(t, "32", "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", certificate,
		"--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	plain, secure := "redis://127.0.0.1:"+port, "rediss://127.0.0.1:"+port
	mixed := "rediss://" + other.addr
	for _, args := range [][]string{{"watch"}, {"run", "short.yaml", "--arm", "control", "--quiet", "--server"}} {
		with := func(url string) []string {
			if args[0] == "watch" {
				return []string{"watch", url, "--for", "1s", "--baseline", "500ms"}
			}
			return append(args[:len(args):len(args)], url)
		}
		h.fails(69, "the server speaks TLS: use rediss:// instead of redis://", with(plain)...)
		h.fails(69, "the server does not speak TLS: use redis:// instead of rediss://", with(mixed)...)
		h.fails(69, "set SSL_CERT_FILE to the certificate of its authority, or skip the check with ?skip_verify=true",
			with(secure)...)
		h.lockjam(0, with(secure+"?skip_verify=true")...)
		cmd := h.command(with(secure)...)
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+certificate)
		out, err := cmd.CombinedOutput()
		h.ends(err, 0, "%s", out)
	}
	other.untouched("32")
	h.nothingLeft()
}

// selfSigned writes a certificate for 127.0.0.1 and its key into one file.
func selfSigned(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lockjam's test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "certificate.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A trigger that a server of other applications must not feel is refused before the arm begins,
// and not after a baseline.
func TestTriggerThatIsNotAllowed(t *testing.T) {
	h := newHouse(t)
	other := theirs(t, "32")
	for _, c := range []struct{ trigger, want, flag string }{
		{"{kind: pause, for_ms: 100}", "the trigger pause disturbs every client of the server", "--quiet"},
		{"{kind: slow-script, for_ms: 100, script_ms: 10}",
			"the trigger slow-script disturbs every client of the server", "--quiet"},
		{"{kind: restart}", "the trigger restart restarts the server", "--allow-destructive"}, // which does not help
	} {
		h.short("theirs.yaml", "{kind: surge, instances: 64}", c.trigger)
		begun := time.Now()
		stdout, stderr := h.lockjam(2, "run", "theirs.yaml", "--arm", "control", "--server", other.url, c.flag)
		if !strings.Contains(stdout, c.want) || !strings.Contains(stdout, "not started by lockjam") {
			t.Errorf("%s\n%s", stdout, stderr)
		}
		arm := h.run().Scenarios[0].Arms[0]
		if arm.Outcome != result.Inconclusive || len(arm.Phases) > 0 {
			t.Errorf("%s: %s, phases %v", c.trigger, arm.Outcome, arm.Phases)
		}
		t.Logf("refused after %v", time.Since(begun))
	}
	other.untouched("32")
	h.nothingLeft()
}
