package remedies

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/server"
)

// restartAsTheHarness does not end the test where the server stays away: it returns
// what went wrong with the server and with the control connections.
func (b *bench) restartAsTheHarness() {
	b.Restart = func(ctx context.Context, c server.Config) error {
		_ = b.control.Close()
		restarted := b.Server.Restart(ctx, c)
		control, err := server.OpenControl(ctx, b.Server.Endpoint())
		if err != nil {
			return errors.Join(restarted, err)
		}
		b.control = control
		return restarted
	}
}

// A restart that does not come back is what can happen to an operator who follows the
// runbook: a finding, with the server's own words for it.
func TestRestartsThatDoNotComeBack(t *testing.T) {
	for _, remedy := range []string{"restart-server", "raise-maxclients-restart"} {
		for _, c := range []struct {
			name, words string
			spoil       func(*bench)
		}{
			{"a bad directive in redis.conf", "Bad directive or wrong number of arguments", func(b *bench) {
				b.Config = b.Config.With(server.Config{"maxclient": "100"})
			}},
			{"a bad value in redis.conf", "'slowlog-max-len many'", func(b *bench) {
				b.Config = b.Config.With(server.Config{"slowlog-max-len": "many"})
			}},
			{"data that cannot be loaded", "Fatal error loading the DB", func(b *bench) {
				dump := filepath.Join(filepath.Dir(b.confPath()), "dump.rdb")
				if err := os.WriteFile(dump, []byte("this is no RDB file, whatever it is called"), 0o600); err != nil {
					b.Fatal(err)
				}
			}},
		} {
			t.Run(remedy+"/"+c.name, func(t *testing.T) {
				b := newBench(t, nil)
				b.restartAsTheHarness()
				c.spoil(b)
				err := b.apply(remedy, nil)
				if !errors.Is(err, ErrBlocked) || !strings.Contains(err.Error(), c.words) {
					t.Errorf("%v; want blocked, with the server's words %q", err, c.words)
				}
				b.logged("the server did not come back: ", c.words)
				if strings.Contains(strings.Join(b.log, ""), "\n") {
					t.Errorf("a step of several lines: %q", b.log)
				}
			})
		}
	}
}

// A server that is back, and only lockjam cannot use it, says nothing about the
// remedy.
func TestRestartThatComesBackWithoutControl(t *testing.T) {
	b := newBench(t, nil)
	lost := errors.New("the control connections could not be opened")
	b.Restart = func(ctx context.Context, c server.Config) error {
		return errors.Join(b.Server.Restart(ctx, c), lost)
	}
	if err := b.apply("restart-server", nil); errors.Is(err, ErrBlocked) || !errors.Is(err, lost) {
		t.Errorf("%v; want an error that is not blocked", err)
	}
	b.logged("failed: the control connections could not be opened")

	// A full server is one that came back.
	b.open()
	b.fill()
	b.Restart = func(context.Context, server.Config) error { return lost }
	if err := b.apply("restart-server", nil); errors.Is(err, ErrBlocked) || !errors.Is(err, lost) {
		t.Errorf("on a full server: %v; want an error that is not blocked", err)
	}
}

// A restart that is interrupted tells nothing about the server.
func TestRestartThatIsInterrupted(t *testing.T) {
	b := newBench(t, nil)
	r, _ := Find("restart-server")
	ctx, cancel := context.WithCancel(t.Context())
	b.Restart = func(ctx context.Context, _ server.Config) error {
		cancel()
		return errors.Join(b.Server.Kill(ctx), context.Cause(ctx))
	}
	if err := r.Apply(ctx, &b.Handle); errors.Is(err, ErrBlocked) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want %v", err, context.Canceled)
	}
}

// A server that hangs at its start says nothing as it goes. What it logged last is
// the only lead.
func TestRestartThatHangs(t *testing.T) {
	b := newBench(t, nil)
	silent := errors.New("no answer to PING within 10s")
	b.Restart = func(ctx context.Context, _ server.Config) error { return errors.Join(b.Server.Kill(ctx), silent) }
	if err := b.apply("restart-server", nil); !errors.Is(err, ErrBlocked) ||
		!strings.Contains(err.Error(), silent.Error()) {
		t.Errorf("%v; want blocked: %v", err, silent)
	}
	b.logged("no answer to PING within 10s; the last line of its log: ", "Ready to accept connections")
}
