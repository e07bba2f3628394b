package container_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/process"
)

// The reported features are those that the server has, whatever its version: it answers an unknown
// command with an error that says so, and a setting that it lacks cannot be set.
func TestFeaturesAreWhatTheServerHas(t *testing.T) {
	forEachKind(t, func(t *testing.T, starter server.Starter, spec server.Spec) {
		c := openControl(t, start(t, starter, spec)).Admin
		got := features(t, c)
		for name, try := range map[string][]any{
			server.FeatureDelex:   {"DELEX", "no-such-key", "IFEQ", "x"},
			server.FeatureDelifeq: {"DELIFEQ", "no-such-key", "x"},
			server.FeatureReset:   {"RESET", "with", "too", "many"},
		} {
			err := c.Do(t.Context(), try...).Err()
			knows := err == nil || !strings.Contains(err.Error(), "unknown command")
			if f := got[name]; f.Has == nil || *f.Has != knows {
				t.Errorf("%+v, and %v is answered with %v", f, try, err)
			}
		}
		reserved := got[server.FeatureReserved]
		err := c.ConfigSet(t.Context(), server.FeatureReserved, "0").Err()
		if reserved.Has == nil || *reserved.Has != (err == nil) || *reserved.Has == (reserved.Value == "") {
			t.Errorf("%+v, and setting it is answered with %v", reserved, err)
		}
		info, err := c.Info(t.Context(), "clients").Result()
		f := got[server.FeatureInfoLimit]
		if err != nil || f.Has == nil || *f.Has != strings.Contains(info, "maxclients:20") {
			t.Errorf("%+v, %v, INFO clients:\n%s", f, err, info)
		}
	})
}

// A feature that the user may not ask for is unknown, with the reason.
func TestFeaturesThatAreForbidden(t *testing.T) {
	needProcess(t)
	s := start(t, process.Start, server.Spec{Config: small, Workspace: newWorkspace(t), Name: "features"})
	admin := openControl(t, s).Admin
	user := []any{"ACL", "SETUSER", "guest", "on", ">x", "~*", "+@all", "-command", "-config", "-info"}
	if err := admin.Do(t.Context(), user...).Err(); err != nil {
		t.Skipf("this server has no users: %v", err)
	}
	guest := s.Endpoint()
	guest.Username, guest.Password = "guest", "x"
	control, err := server.OpenControl(t.Context(), guest)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	for name, f := range features(t, control.Admin) {
		if f.Has != nil || !strings.Contains(f.Unknown, "NOPERM") || f.Asked == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func features(t *testing.T, c *redis.Client) map[string]server.Feature {
	t.Helper()
	got := map[string]server.Feature{}
	for _, f := range server.AskFeatures(t.Context(), c) {
		got[f.Name] = f
	}
	if len(got) != 5 {
		t.Fatalf("got %+v", got)
	}
	return got
}
