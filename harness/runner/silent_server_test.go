package runner

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
)

// silence stops an arm's server at some event, and notes when.
type silence struct {
	t      *testing.T
	server server.Server
	at     func(result.Event) bool
	begun  time.Time
	then   func()
}

func (s *silence) observe(e result.Event) {
	if s.begun.IsZero() && s.at(e) {
		if err := s.server.Pause(context.Background()); err != nil {
			s.t.Error(err)
		}
		s.begun = time.Now()
		s.then()
	}
}

// start starts servers that will fall silent.
func (s *silence) start(start server.Starter) server.Starter {
	return func(ctx context.Context, spec server.Spec) (server.Server, error) {
		var err error
		s.server, err = start(ctx, spec)
		return s.server, err
	}
}

// inContainers starts servers of the image that scripts/setup.sh builds.
func inContainers(t *testing.T) server.Starter {
	image := os.Getenv("LOCKJAM_REDIS_IMAGE")
	start, resolved, err := container.Choose(t.Context(), server.KindContainer, image, nil)
	if err != nil {
		t.Skipf("this test needs Docker and an image; scripts/setup.sh builds one: %v", err)
	}
	return func(ctx context.Context, spec server.Spec) (server.Server, error) {
		spec.Image = resolved
		return start(ctx, spec)
	}
}

func phase(name string) func(result.Event) bool {
	return func(e result.Event) bool { return e.Kind == result.EventKind(history.PhaseMark) && e.Name == name }
}

// In whatever state the server falls silent for good, the first Ctrl-C ends the run
// within seconds, and nothing that was started is left.
func TestInterruptWhileTheServerIsSilent(t *testing.T) {
	needRedis(t)
	slow := strings.Replace(quick, "VERDICT", "no-effect", 1) +
		"  - {name: raised, remedy: raise-maxclients-live}\n  - {name: released, remedy: release-stale-locks, params: {connection: new}}\n"
	begun := func(e result.Event) bool {
		return e.Kind == result.EventKind(history.RemedyMark) && e.Name == history.Begun
	}
	for _, c := range []struct {
		name, arm string
		at        func(result.Event) bool
		container bool
	}{
		{"warm-up", "control", phase(history.Warmup), false},
		{"baseline", "control", phase(history.Baseline), false},
		{"incident", "control", func(e result.Event) bool { return e.Kind == result.EventKind(history.TriggerMark) },
			false},
		{"remedy", "raised", begun, false},
		{"remedy over a connection of its own", "released", begun, false},
		{"recovery", "control", phase(history.Recovery), false},
		{"probe", "control", phase(history.Probing), false},
		{"end", "control", phase(history.End), false},
		{"recovery in a container", "control", phase(history.Recovery), true},
		{"probe in a container", "control", phase(history.Probing), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			nothingLeft(t)
			o := quickOptions(t, "no-effect")
			sc, err := scenario.Parse("quick.yaml", []byte(slow))
			if err != nil {
				t.Fatal(err)
			}
			o.Scenarios, o.Arms = []*scenario.Scenario{sc}, []string{c.arm}
			if c.container {
				o.Start = inContainers(t)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &silence{t: t, at: c.at, then: func() { time.AfterFunc(300*time.Millisecond, cancel) }}
			o.Start, o.Observe = s.start(o.Start), s.observe
			_, _, err = Run(ctx, o)
			if took := time.Since(s.begun); s.begun.IsZero() || took > 5*time.Second {
				t.Errorf("it took %v to end", took)
			}
			if c.name != "end" && !errors.Is(err, context.Canceled) || errors.Is(err, result.ErrCleanup) ||
				errors.Is(err, result.ErrInternal) {
				t.Errorf("%v; want to be told of the interrupt, and of nothing left behind", err)
			}
		})
	}
}

// A server that falls silent in the recovery does not keep a run: the probe says that it
// was not answered, and the run ends by itself.
func TestProbeOfASilentServer(t *testing.T) {
	needRedis(t)
	for _, attached := range []bool{false, true} {
		nothingLeft(t)
		o := quickOptions(t, "no-effect")
		o.AllowDestructive = attached
		s := &silence{t: t, at: phase(history.Recovery), then: func() {}}
		o.Observe = s.observe
		if attached {
			s.server = startedElsewhere(t, o.Start, server.Config{"maxclients": "16", "save": `""`})
			o.Start = server.Attach("redis://" + s.server.Endpoint().Addr)
		} else {
			o.Start = s.start(o.Start)
		}
		run, _, err := Run(t.Context(), o)
		length := o.Scenarios[0].Phases.RecoveryMS.Duration() + o.Scenarios[0].Watch.ProbeMS.Duration() + askWithin
		if took := time.Since(s.begun); took > length+5*time.Second+
			stopWithin*map[bool]time.Duration{true: 1}[attached] {
			t.Errorf("attached %v: it took %v to end", attached, took)
		}
		if errors.Is(err, result.ErrCleanup) != attached {
			t.Errorf("attached %v: %v", attached, err)
		}
		probes := run.Scenarios[0].Arms[0].Probes
		if len(probes) != 2 || !strings.Contains(probes[0].Failed, "redis-cli was not answered within 500ms") ||
			!strings.Contains(probes[1].Failed, "no answer to CONFIG GET: timed out after 5s") {
			t.Errorf("attached %v: probes %+v", attached, probes)
		}
	}
}
