package faults

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// silent keeps go-redis from logging the failures that the tests cause.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	code := m.Run()
	// A go-redis pool that could not dial sleeps for a second in a goroutine of its own before it
	// notices that it was closed.
	var leak error
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
		if leak = goleak.Find(); leak == nil {
			break
		}
	}
	if leak != nil && code == 0 {
		println(leak.Error())
		code = 1
	}
	os.Exit(code)
}

// bench is a real server behind a proxy, and control connections that bypass the proxy.
type bench struct {
	*testing.T
	proxy   *Proxy
	control *server.Control
}

func newBench(t *testing.T, c server.Config) *bench {
	t.Helper()
	ws, err := server.NewWorkspace("faults-test")
	if err != nil {
		t.Fatal(err)
	}
	spec := server.Spec{Workspace: ws, Name: "redis", Config: server.Config{"save": `""`}.With(c)}
	s, err := process.Start(t.Context(), spec)
	if errors.Is(err, server.ErrUnavailable) {
		t.Skipf("these tests need a redis-server or valkey-server on PATH; scripts/setup.sh --tests installs one: %v",
			err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), ws.Close()); err != nil {
			t.Error(err)
		}
	})
	b := &bench{T: t}
	if b.control, err = server.OpenControl(t.Context(), s.Endpoint()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.control.Close() })
	if b.proxy, err = Start(s.Endpoint().Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.proxy.Stop)
	return b
}

// client returns a client with one connection through the proxy and without retries.
func (b *bench) client(password string, readTimeout time.Duration) *redis.Client {
	c := redis.NewClient(&redis.Options{
		Addr: b.proxy.Addr(), Password: password, Protocol: 2, DisableIdentity: true,
		PoolSize: 1, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: time.Second, ReadTimeout: readTimeout, WriteTimeout: time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits for at most 10 s until the condition holds.
func (b *bench) eventually(condition string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	b.Fatalf("not within 10 s: %s", condition)
}

// clients returns the number of connections to the server besides the control connections.
func (b *bench) clients() int {
	b.Helper()
	list, err := b.control.Admin.ClientList(b.Context()).Result()
	if err != nil {
		b.Fatal(err)
	}
	n := -server.ControlConnections
	for _, r := range list {
		if r == '\n' {
			n++
		}
	}
	return n
}

// Without a fault the proxy is transparent: to passwords, and to many concurrent commands.
func TestTransparency(t *testing.T) {
	b := newBench(t, server.Config{"requirepass": "secret"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c := b.client("secret", time.Second)
			for range 200 {
				if err := c.Incr(t.Context(), "n").Err(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if n, err := b.control.Admin.Get(t.Context(), "n").Int(); n != 8*200 || err != nil {
		t.Errorf("the server counted %d of %d: %v", n, 8*200, err)
	}
	if err := b.client("wrong", time.Second).Ping(t.Context()).Err(); err == nil {
		t.Error("a wrong password went through")
	}
}

// Commands are executed although their replies are dropped. A connection that has lost a reply
// never gets another: it would be taken for the answer to the earlier command.
func TestDropReplies(t *testing.T) {
	b := newBench(t, nil)
	raw, err := net.Dial("tcp", b.proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	ask := func(command, want string) {
		t.Helper()
		if _, err := io.WriteString(raw, command+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			return
		}
		answer := make([]byte, len(want))
		_ = raw.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadFull(raw, answer); err != nil || string(answer) != want {
			t.Fatalf("%s: %q, %v", command, answer, err)
		}
	}
	ask("PING", "+PONG\r\n")
	b.proxy.DropReplies()
	ask("SET a 1", "")
	b.eventually("the command is executed", func() bool { return b.control.Admin.Get(t.Context(), "a").Val() == "1" })
	_ = raw.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := raw.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came through: %v", n, err)
	}
	b.proxy.Heal()
	_ = raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := raw.Read(make([]byte, 8)); !errors.Is(err, io.EOF) {
		t.Errorf("after a lost reply: %d bytes, %v; want EOF", n, err)
	}
	b.eventually("the server's side is closed", func() bool { return b.clients() == 0 })
}

// A connection that was idle while replies were dropped stays open.
func TestDropRepliesKeepsIdleConnections(t *testing.T) {
	b := newBench(t, nil)
	idle, used := b.client("", time.Second), b.client("", 50*time.Millisecond)
	for _, c := range []*redis.Client{idle, used} {
		if err := c.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	before, err := idle.ClientID(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	b.proxy.DropReplies()
	if err := used.Ping(t.Context()).Err(); err == nil {
		t.Error("a reply came through")
	}
	b.proxy.Heal()
	after, err := idle.ClientID(t.Context()).Result()
	if before != after || err != nil {
		t.Errorf("connection %d became %d: %v", before, after, err)
	}
	if err := used.Ping(t.Context()).Err(); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestDelayReplies(t *testing.T) {
	b := newBench(t, nil)
	c := b.client("", 5*time.Second)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	const by = 60 * time.Millisecond
	b.proxy.DelayReplies(by)
	started := time.Now()
	// The replies to a pipeline arrive together, so they are delayed once.
	if _, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for range 50 {
			p.Incr(t.Context(), "n")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < by || took > 20*by {
		t.Errorf("replies delayed by %v took %v", by, took)
	}
	// Heal also releases a reply that is already waiting.
	b.proxy.DelayReplies(time.Hour)
	answered := make(chan error, 1)
	go func() { answered <- c.Incr(t.Context(), "n").Err() }()
	b.eventually("the server has answered", func() bool { return b.control.Admin.Get(t.Context(), "n").Val() == "51" })
	b.proxy.Heal()
	if err := <-answered; err != nil {
		t.Errorf("a delayed reply: %v", err)
	}
}

func TestCut(t *testing.T) {
	b := newBench(t, nil)
	c := b.client("", time.Second)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	before := c.ClientID(t.Context()).Val()
	b.proxy.Cut()
	b.eventually("the server's side is closed", func() bool { return b.clients() == 0 })
	// go-redis itself detects that an idle connection was closed.
	after, err := c.ClientID(t.Context()).Result()
	if err != nil || after == before {
		t.Errorf("connection %d became %d: %v", before, after, err)
	}
}

// Behind a proxy, a server that does not listen looks like one that closes every connection.
func TestProxyWithoutServer(t *testing.T) {
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := unused.Addr().String()
	_ = unused.Close()
	p, err := Start(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// Stop works at any moment: with delayed or dropped replies, with busy clients, and with closed
// ones. TestMain checks that no goroutine is left.
func TestStopWhileBusy(t *testing.T) {
	for name, begin := range map[string]func(*Proxy){
		"healthy": func(*Proxy) {}, "dropping": (*Proxy).DropReplies,
		"delaying": func(p *Proxy) { p.DelayReplies(time.Hour) }, "cut": (*Proxy).Cut,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			var tries atomic.Int64
			for range 16 {
				all.Go(func() {
					c := b.client("", 100*time.Millisecond)
					for ; ctx.Err() == nil; tries.Add(1) {
						_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
							for range 20 {
								p.Incr(ctx, "n")
							}
							return nil
						})
					}
				})
			}
			b.eventually("work", func() bool {
				n, _ := b.control.Admin.Get(t.Context(), "n").Int()
				return n > 1000
			})
			begin(b.proxy)
			before := tries.Load()
			b.eventually("more tries", func() bool { return tries.Load() > before+3*16 })
			b.proxy.Stop()
			b.proxy.Stop()
			if c, err := net.Dial("tcp", b.proxy.Addr()); err == nil {
				_ = c.Close()
				t.Error("it still listens")
			}
			b.eventually("every connection is closed", func() bool { return b.clients() == 0 })
			stop()
			all.Wait()
		})
	}
}

// The proxy needs no certificate: a TLS connection between client and server passes unchanged.
func TestTLSPassesThrough(t *testing.T) {
	certificate, roots := selfSigned(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.Copy(c, c)
	}()
	defer func() { _ = listener.Close(); <-served }()
	p, err := Start(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	c, err := tls.Dial("tcp", p.Addr(), &tls.Config{RootCAs: roots, ServerName: "redis.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "PING"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "PING" {
		t.Errorf("%q, %v", answer, err)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"redis.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(made)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
