package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/judge"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/triggers"
)

// unsettled records an arm whose server does not have the settings that the scenario asks for.
func unsettled(a *armRun, differ []string) error {
	advice := "this version may not have it, or not with that value"
	if a.host.attached() {
		advice = "set it there (CONFIG SET), or let lockjam start a server"
	}
	return cannot(a, "the server does not have the scenario's settings: "+strings.Join(differ, "; ")+": "+advice)
}

// limitDiffers is a maxclients that is not what it should be, in words.
func limitDiffers(asked, has int) string {
	return server.Setting{Directive: "maxclients", Asked: strconv.Itoa(asked), Has: strconv.Itoa(has)}.String()
}

// readBack compares the settings of every node with what was asked for. maxclients of the first has a check of its own.
func readBack(ctx context.Context, a *armRun, want server.Config) (differ, unread []string) {
	first := maps.Clone(want)
	delete(first, "maxclients")
	differing, unknown := server.ReadBack(ctx, a.host.control.Admin, first)
	differ, unread = a.host.tell("", differing, unknown)
	group, ok := a.host.server.(server.Group)
	if !ok {
		return differ, unread
	}
	others := group.Others()
	for _, role := range slices.Sorted(maps.Keys(others)) {
		client, connection, err := server.OpenWatch(ctx, others[role])
		if err != nil {
			unread = append(unread, fmt.Sprintf("all of the %s: %v", role, err))
			continue
		}
		cutOff := context.AfterFunc(ctx, func() { _ = connection.Close() })
		differing, unknown := server.ReadBack(ctx, client, want)
		cutOff()
		_ = client.Close()
		_ = connection.Close()
		moreDiffer, moreUnread := a.host.tell(" of the "+role, differing, unknown)
		differ, unread = append(differ, moreDiffer...), append(unread, moreUnread...)
	}
	return differ, unread
}

// tell puts settings into words. A server that lockjam did not start may have anything: what it
// describes in other words than the scenario counts as something else there, and as the same on a
// server that was started with it.
func (h *host) tell(where string, differing, unknown []server.Setting) (differ, unread []string) {
	for _, s := range unknown {
		if s.Has != "" && h.attached() {
			s.Unread = ""
			differing = append(differing, s)
			continue
		}
		unread = append(unread, s.String()+where)
	}
	for _, s := range differing {
		if h.attached() && slices.Contains(persistence, s.Directive) {
			unread = append(unread, s.String()+where+" (left as it is: this server is not restarted)")
			continue
		}
		differ = append(differ, s.String()+where)
	}
	return differ, unread
}

// persistence are the directives that decide what outlives a restart. A server that lockjam
// did not start is never restarted: differences there are reported and decide nothing.
var persistence = []string{"save", "appendonly", "appendfilename", "appenddirname", "dbfilename"}

// checkRestarted notes what a server that was restarted has not of the settings that it was restarted with. A limit that a
// remedy has raised the remedy reads back itself, and is blocked by another.
func checkRestarted(ctx context.Context, a *armRun, c server.Config) {
	control := a.host.control
	defer context.AfterFunc(ctx, func() { _ = control.Close() })()
	differ, _ := readBack(ctx, a, c)
	limit, err := control.MaxClients(ctx)
	if want := a.sc.Server.MaxClients; err == nil && c["maxclients"] == a.host.config["maxclients"] && limit != want {
		differ = append(differ, limitDiffers(want, limit))
	}
	if len(differ) > 0 && ctx.Err() == nil {
		a.rec.mark(history.NoteMark, "",
			"restarted, the server does not have the settings that were asked for: "+strings.Join(differ, "; "))
	}
}

// holdsUpOthers returns an error where the swarm's handshakes, during which the server sleeps
// (DEBUG SLEEP), would hold up other clients of a server that lockjam did not start.
func holdsUpOthers(ctx context.Context, a *armRun) error {
	if !judge.SleepsInHandshakes(a.sc, a.arm) || !a.host.attached() {
		return nil
	}
	if err := a.host.reconfigurable(); err != nil {
		return err
	}
	return triggers.Foreign(ctx, a.host.control.Admin, a.host.ours())
}

// several records that the server that was asked for cannot be what the scenario needs. Nothing is wrong with either.
func several(a *armRun, err error) error {
	if !errors.Is(err, server.ErrTopology) {
		return err
	}
	return cannot(a, "it cannot run here: "+err.Error())
}

// cannot records why an arm cannot run on the server that there is: it is inconclusive and says so.
func cannot(a *armRun, why string) error {
	if err := a.record(); err != nil {
		return err
	}
	a.rec.mark(history.NoteMark, "", why)
	a.rec.mark(history.PhaseMark, history.End, "there is no such server")
	return errServerLost
}
