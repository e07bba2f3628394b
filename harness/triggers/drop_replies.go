package triggers

import (
	"context"
	"fmt"
	"time"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// dropReplies is a link that flaps: what clients ask for is done, and now and then
// no one is told. A worker that holds a lock at the beginning of a drop gets no answer to any
// command before its end, keeps the lock, and comes to no harm; a worker that tries for a
// free lock meanwhile is granted it and does not know. So it takes several drops, or
// locks that are free most of the time, to reach all of them.
var dropReplies = Trigger{
	Name:    "drop-replies",
	Summary: "Lets replies vanish between the server and its clients, for drop_ms at a time, every every_ms (0: once), for for_ms in all. Requests go through.",
	Uses:    []string{"for_ms", "drop_ms", "every_ms"},
	Network: true,
	// The proxy stands in front of one server, and the others are dialled past it.
	Topologies: []server.Topology{server.Single},
	Check: func(s Settings, _ swarm.Settings) []Problem {
		switch {
		case s.DropMS > s.ForMS:
			return []Problem{{[]string{"trigger.drop_ms", "trigger.for_ms"},
				fmt.Sprintf("%g: want at most for_ms, %g", s.DropMS, s.ForMS)}}
		case s.EveryMS != 0 && s.EveryMS <= s.DropMS:
			return []Problem{{[]string{"trigger.every_ms", "trigger.drop_ms"},
				fmt.Sprintf("%g: want more than drop_ms, %g", s.EveryMS, s.DropMS)}}
		}
		return nil
	},
	Say: func(s Settings, _ swarm.Settings) string {
		if s.EveryMS == 0 {
			return fmt.Sprintf("replies vanish for %v", s.DropMS.Duration())
		}
		return fmt.Sprintf("replies vanish for %v, every %v, for %v", s.DropMS.Duration(), s.EveryMS.Duration(),
			s.ForMS.Duration())
	},
	Fire: func(ctx context.Context, in *Handle) error {
		in.Begin(func(ctx context.Context) { drop(ctx, in) })
		return ctx.Err()
	},
}

// drop begins and ends the drops.
func drop(ctx context.Context, in *Handle) {
	length, each, every := in.Settings.ForMS.Duration(), in.Settings.DropMS.Duration(), in.Settings.EveryMS.Duration()
	for begun := time.Duration(0); ; begun += every {
		in.Network.DropReplies()
		lasted := wait(ctx, min(each, length-begun))
		in.Network.Heal()
		if !lasted || every == 0 || begun+every >= length || !wait(ctx, every-each) {
			return
		}
	}
}

// wait lets time pass, and reports whether all of it did.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
