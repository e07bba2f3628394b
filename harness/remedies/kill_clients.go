package remedies

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/text"
)

// killClients frees slots by cutting connections, which is what is left to an
// operator who may not raise the limit.
var killClients = Remedy{
	Name:    "kill-clients",
	Summary: "Cuts connections with CLIENT KILL, over a control connection: all of the service's, the idle ones, or the oldest. On a server that lockjam did not start it spares those of other applications, unless foreign is kill.",
	Params: []Param{
		{Name: "which", Default: "all", Check: oneOf("all", "idle", "oldest-waiters")},
		{Name: "idle_ms", Default: "1000", Check: wholeNumber(0, 86_400_000)}, // which: idle
		{Name: "count", Default: "8", Check: wholeNumber(1, 100_000)},         // which: oldest-waiters
		// On a server that lockjam did not start: what to do with the clients of other applications.
		{Name: "foreign", Default: spareForeign, Check: oneOf(spareForeign, killForeign)},
		// Which client gets the slots that a kill frees is chance. An operator who sees nothing
		// move kills again.
		timesParam, pauseParam,
	},
	Apply: func(ctx context.Context, in *Handle) error {
		return again(ctx, in, func() error { return killOnce(ctx, in) })
	},
}

// The words for clients of other applications on a server that lockjam did not start.
const (
	spareForeign = "spare"
	killForeign  = "kill" // takes --allow-destructive as well
)

func killOnce(ctx context.Context, in *Handle) error {
	did := "CLIENT LIST"
	list, err := in.Admin().ClientList(ctx).Result()
	if err != nil {
		in.Step(did, err.Error())
		return blocked("%s: %w", did, err)
	}
	ours := in.Ours
	if in.Params["foreign"] == killForeign && in.Reconfigurable == nil {
		ours = ""
	}
	found := sortOut(list, ours)
	in.Step(did, found.String())
	idleMS, _ := strconv.Atoi(in.Params["idle_ms"])
	count, _ := strconv.Atoi(in.Params["count"])
	chosen, which := found.choose(in.Params["which"], time.Duration(idleMS)*time.Millisecond, count)
	if len(chosen) == 0 {
		in.Step("choose "+which, "there is none: nothing to kill")
		return nil
	}
	return killEach(ctx, in, chosen, which)
}

// killEach kills by id, all in one round trip: with one for each, the first victims
// would have their slots back before the last are cut. A server never uses an id
// twice, so no client that came after the list is hit.
func killEach(ctx context.Context, in *Handle, chosen []server.Client, which string) error {
	ids := make([]string, len(chosen))
	answers := make([]*redis.IntCmd, len(chosen))
	_, err := in.Admin().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range chosen {
			ids[i] = strconv.FormatInt(c.ID, 10)
			answers[i] = p.ClientKillByFilter(ctx, "ID", ids[i])
		}
		return nil
	})
	killed, gone := 0, 0
	for _, a := range answers {
		switch n, failed := a.Result(); {
		case failed != nil:
		case n > 0:
			killed++
		default:
			gone++
		}
	}
	did := fmt.Sprintf("CLIENT KILL ID for each of %s, %s: %s", text.Plural(len(chosen), "client"), which,
		text.FirstOf(ids, " ", mostListed))
	answer := fmt.Sprintf("%d killed (answered 1), %d gone already (answered 0)", killed, gone)
	if err != nil {
		in.Step(did, fmt.Sprintf("%s; then %v", answer, err))
		return blocked("CLIENT KILL ID for %s, of which %d were killed: %w", text.Plural(len(chosen), "client"), killed,
			err)
	}
	in.Step(did, answer)
	return nil
}

// normalFlags are the letters that the flags of a normal client may consist of:
// N none, b blocked, x in MULTI, d dirty WATCH, u unblocked, t tracking, R and B
// of tracking, c and A about to be closed, U by Unix socket, r readonly, e and T
// exempt from eviction and from touching.
//
// A client with another one is spared: S a replica and M the master, without which
// there is no failover; P a subscriber and O a MONITOR, which wait for no lock;
// I an import; and whatever letter a later server invents.
const normalFlags = "NbxdutRBcAUreT"

// sorted are the connected clients, by whether they may be killed.
type sorted struct {
	mayBeKilled           []server.Client
	total                 int
	own, special, foreign int
	unread                int
	ours                  string // begins the names of the run's own clients, where others are spared
}

// sortOut reads CLIENT LIST. Killing by id cuts whom it names, the killer's own
// connection too, so lockjam's instruments are told by their names: the control
// connections, and the lockjam that watches beside us. With ours set, lockjam did not start
// the server, and clients whose names do not begin so are foreign.
func sortOut(list, ours string) sorted {
	s := sorted{ours: ours}
	for c, err := range server.Clients(list) {
		s.total++
		switch {
		case err != nil:
			s.unread++
		case c.Instrument():
			s.own++
		case strings.Trim(c.Flags, normalFlags) != "":
			s.special++
		case !strings.HasPrefix(c.Name, ours):
			s.foreign++
		default:
			s.mayBeKilled = append(s.mayBeKilled, c)
		}
	}
	return s
}

func (s sorted) String() string {
	said := fmt.Sprintf("%s: %d may be killed, %d are lockjam's own instruments, %d are no normal clients",
		text.Plural(s.total, "client"), len(s.mayBeKilled), s.own, s.special)
	if s.ours != "" {
		said += fmt.Sprintf(", %d belong to other applications", s.foreign)
	}
	if s.unread > 0 {
		said += fmt.Sprintf(", %d cannot be read", s.unread)
	}
	return said
}

// choose returns the clients to kill, and describes them.
func (s sorted) choose(which string, idle time.Duration, count int) ([]server.Client, string) {
	chosen := slices.Clone(s.mayBeKilled)
	switch which {
	case "idle":
		// The server counts whole seconds, so 1.5 s is asked for as 2.
		atLeast := (idle + time.Second - 1).Truncate(time.Second)
		return slices.DeleteFunc(chosen, func(c server.Client) bool { return c.Idle < atLeast }),
			fmt.Sprintf("those that have been idle for %.0f s or longer", atLeast.Seconds())
	case "oldest-waiters":
		// The server numbers its clients as they come, which tells apart those of the same second.
		slices.SortFunc(chosen, func(a, b server.Client) int {
			return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.ID, b.ID))
		})
		return chosen[:min(count, len(chosen))], fmt.Sprintf("the %d that have been connected longest", count)
	}
	return chosen, "all that may be killed"
}
