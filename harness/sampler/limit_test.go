package sampler

import (
	"net"
	"testing"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

// What harness.SlotsTaken rests on: Redis turns clients away before it counts them, however
// many dial, and keeps those that it has where the limit is lowered under them.
func TestClientsBeyondTheLimitWereThereBefore(t *testing.T) {
	s := startRedis(t, server.Config{"maxclients": "10"})
	control := openControl(t, s.Endpoint())
	addr := control.Admin.Options().Addr
	connected := func() (clients, limit int64) {
		info, err := ReadInfo(t.Context(), control.Sampler, "clients")
		if err != nil {
			t.Fatal(err)
		}
		c, _ := counters(info)
		return c.Connected, c.MaxClients
	}
	stop := make(chan struct{})
	dialed := make(chan struct{})
	go func() { // a storm: each refused client dials again at once
		defer close(dialed)
		var kept []net.Conn
		for {
			select {
			case <-stop:
				for _, c := range kept {
					_ = c.Close()
				}
				return
			default:
			}
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				continue
			}
			if kept = append(kept, c); len(kept) > 200 {
				_ = kept[100].Close()
				kept = append(kept[:100], kept[101:]...)
			}
		}
	}()
	eventually(t, "a full server", func() bool { clients, limit := connected(); return clients == limit })
	for range 500 {
		if clients, limit := connected(); clients > limit {
			t.Fatalf("%d clients in %d slots", clients, limit)
		}
	}
	do(t, control.Admin, "CONFIG", "SET", "maxclients", "8")
	if clients, limit := connected(); clients != 10 || limit != 8 {
		t.Errorf("%d clients, and maxclients %d: want 10 and 8", clients, limit)
	}
	close(stop)
	<-dialed
}
