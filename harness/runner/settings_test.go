package runner

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
)

// with is options for the quick scenario with other settings and arms.
func with(t *testing.T, config, arms string) Options {
	t.Helper()
	o := quickOptions(t, "no-effect")
	text := strings.Replace(strings.Replace(quick, `config: {save: '""'}`, "config: "+config, 1), "VERDICT",
		"no-effect", 1)
	sc, err := scenario.Parse("quick.yaml", []byte(text+arms))
	if err != nil {
		t.Fatal(err)
	}
	o.Scenarios = []*scenario.Scenario{sc}
	return o
}

// inconclusive checks that an arm is, and that its one reason has these words.
func inconclusive(t *testing.T, r *result.Run, arm int, words ...string) {
	t.Helper()
	a := r.Scenarios[0].Arms[arm]
	if a.Outcome != result.Inconclusive || len(a.Reasons) != 1 {
		t.Fatalf("arm %s is %s: %q", a.Name, a.Outcome, a.Reasons)
	}
	for _, w := range words {
		if !strings.Contains(a.Reasons[0], w) {
			t.Errorf("arm %s: %q does not say %q", a.Name, a.Reasons[0], w)
		}
	}
}

// Redis takes a value that it then does not use: hz ends at 500 (config.c, updateHZ).
func TestSettingThatDoesNotTake(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	run, _, err := Run(t.Context(),
		with(t, `{save: '""'}`, "  - {name: ticks, prevention: ticks, server: {config: {hz: '1000'}}}\n"))
	if err != nil || run.Status != result.Completed {
		t.Fatal(run.Status, err)
	}
	if control := run.Scenarios[0].Arms[0]; control.Outcome != result.Pass {
		t.Errorf("the control arm is %s: %q", control.Outcome, control.Reasons)
	}
	inconclusive(t, run, 1, "the server does not have the scenario's settings: hz: requested 1000, the server has 500")
}

// forgetful loses a directive at a restart.
type forgetful struct{ server.Server }

func (s forgetful) Restart(ctx context.Context, c server.Config) error {
	return s.Server.Restart(ctx, c.With(server.Config{"save": "3600 1"}))
}

func TestSettingThatARestartLoses(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := with(t, `{save: '""'}`, "  - {name: restarted, remedy: restart-server}\n  - {name: raised, remedy: raise-maxclients-restart}\n")
	o.Arms = []string{"restarted", "raised"}
	start := o.Start
	o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
		s, err := start(ctx, spec)
		return forgetful{s}, err
	}
	run, _, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, arm := range run.Scenarios[0].Arms {
		if arm.Outcome != result.Inconclusive || !strings.Contains(strings.Join(arm.Reasons, "\n"),
			`restarted, the server does not have the settings that were asked for: save: requested "", the server has 3600 1`) {
			t.Errorf("arm %s is %s: %q", arm.Name, arm.Outcome, arm.Reasons)
		}
	}
}

// theirs attaches the run to a server that lockjam does not start, and returns a client
// of it.
func theirs(t *testing.T, o *Options, c server.Config) *redis.Client {
	t.Helper()
	s := startedElsewhere(t, o.Start, c)
	o.Start = server.Attach("redis://" + s.Endpoint().Addr)
	client := redis.NewClient(&redis.Options{Addr: s.Endpoint().Addr, PoolSize: 1})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// On a server that lockjam did not start, all directives are compared, each arm's own too.
func TestSettingsOfSomebodyElsesServer(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := with(t, `{save: '""', maxmemory-policy: allkeys-lru, maxmemory: 100mb}`,
		"  - {name: more, prevention: more, server: {maxclients: 64}}\n")
	theirs(t, &o, server.Config{"maxclients": "16", "save": "3600 1\n300 100", "maxmemory": "104857600"})
	run, _, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	inconclusive(t, run, 0, "maxmemory-policy: requested allkeys-lru, the server has noeviction",
		"set it there (CONFIG SET)")
	inconclusive(t, run, 1, "maxclients: requested 64, the server has 16; ")
}

func TestSettingsOfSomebodyElsesServerThatAreThere(t *testing.T) {
	needRedis(t)
	nothingLeft(t)
	o := with(t, `{save: '""', maxmemory: 100mb}`, "")
	theirs(t, &o, server.Config{"maxclients": "16", "save": "3600 1\n300 100", "maxmemory": "104857600"})
	run, _, err := Run(t.Context(), o)
	if err != nil || run.Outcome != result.Pass {
		t.Errorf("%s, %v", run.Outcome, err)
	}
	// What only a restart reads is told, and decides nothing.
	const told = `save: requested "", the server has 3600 1 300 100 (left as it is: this server is not restarted)`
	if got := run.Environment.Server.NotReadBack; !slices.Contains(got, told) {
		t.Errorf("%q", got)
	}
}

// Every node of a topology is asked, and the report says which has what.
func TestSettingsOfEveryNode(t *testing.T) {
	needRedis(t)
	for _, topology := range []string{"sentinel", "cluster"} {
		t.Run(topology, func(t *testing.T) {
			nothingLeft(t)
			o := with(t, `{save: '""'}`, "")
			o.Scenarios[0].Server.Topology = server.Topology(topology)
			start := o.Start
			o.Start = func(ctx context.Context, spec server.Spec) (server.Server, error) {
				s, err := start(ctx, spec)
				if err != nil {
					return s, err
				}
				for _, e := range s.(server.Group).Others() {
					c := redis.NewClient(&redis.Options{Addr: e.Addr, PoolSize: 1})
					err = errors.Join(err, c.ConfigSet(ctx, "save", "3600 1").Err(), c.Close())
				}
				return s, err
			}
			run, _, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			inconclusive(t, run, 0, `save: requested "", the server has 3600 1 of the `+
				map[string]string{"sentinel": "replica", "cluster": "shard-2"}[topology])
		})
	}
}
