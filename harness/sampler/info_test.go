package sampler

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
)

// What INFO does not say is missing by name, and 0 is never taken for its value.
func TestCountersSayWhatIsMissing(t *testing.T) {
	whole := map[string]string{
		"run_id": "a", "connected_clients": "5", "maxclients": "32", "rejected_connections": "0",
		"total_connections_received": "9", "total_commands_processed": "100", "total_error_replies": "0",
		"cmdstat_get": "calls=7,usec=21,usec_per_call=3.00",
	}
	s, stats := counters(whole)
	if len(s.Missing) > 0 || s.RunID != "a" || s.Connected != 5 || s.MaxClients != 32 || s.Rejected != 0 ||
		s.Received != 9 ||
		s.Commands != 100 || stats["get"] != (commandStat{7, 21}) {
		t.Errorf("%+v %v", s, stats)
	}
	for field := range whole {
		for _, spoil := range []func(map[string]string){
			func(m map[string]string) { delete(m, field) },
			func(m map[string]string) { m[field] = "many" },
		} {
			info := maps.Clone(whole)
			spoil(info)
			s, _ := counters(info)
			want := field
			switch field {
			case "run_id":
				want = ""
			case "cmdstat_get":
				if want = "commandstats"; len(info) == len(whole) {
					want = "" // the section is there
				}
			}
			if got := strings.Join(slices.Collect(maps.Keys(s.Missing)), " "); got != want {
				t.Errorf("without %s: missing %q, want %q", field, got, want)
			}
		}
	}
}

// Redis before 6.2 has maxclients in CONFIG alone, and not everybody may ask for that.
func TestMaxClientsFromConfig(t *testing.T) {
	control := openControl(t, startRedis(t, server.Config{"maxclients": "77"}).Endpoint())
	s, _ := counters(nil)
	askMaxClients(t.Context(), control.Admin, s)
	if _, missing := s.Missing["maxclients"]; missing || s.MaxClients != 77 {
		t.Errorf("%d, missing: %v", s.MaxClients, s.Missing)
	}
	do(t, control.Admin, "ACL", "SETUSER", "reader", "on", ">secret", "+info", "+ping", "+hello")
	reader := redis.NewClient(&redis.Options{Addr: control.Admin.Options().Addr, Username: "reader", Password: "secret",
		PoolSize: 1, DisableIdentity: true})
	defer func() { _ = reader.Close() }()
	s, _ = counters(nil)
	askMaxClients(t.Context(), reader, s)
	if why := s.Missing["maxclients"]; s.MaxClients != 0 || !strings.Contains(why, "CONFIG GET: NOPERM") {
		t.Errorf("%d, missing because: %q", s.MaxClients, why)
	}
}
