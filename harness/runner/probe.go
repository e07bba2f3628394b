package runner

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/triggers"
)

// probe asks, when everything that counts is over, what the control arm alone can
// answer: what the runbook's MONITOR command shows of the failure, and whether one
// more slot would have moved it.
func probe(ctx context.Context, a *armRun) error {
	length := a.sc.Watch.ProbeMS.Duration()
	if length == 0 || a.remedy.Name != remedies.NoRemedy || a.sc.Trigger.Kind == triggers.None {
		return nil
	}
	a.rec.mark(history.PhaseMark, history.Probing, "")
	a.watcher.Now(ctx)
	before := a.swarm.Snapshot()
	p := runbookMonitor(ctx, a, length)
	p.Took = a.rec.elapsed() - p.At
	// A refusal comes at once. The rest of the time shows what moves by itself.
	if err := a.wait(ctx, length-p.Took); err != nil {
		return err
	}
	idle := a.swarm.Snapshot()
	p.Grants, p.Releases = idle.Grants-before.Grants, idle.Releases-before.Releases
	a.rec.recorder.Probe(p)
	p = oneMoreSlot(ctx, a, length)
	p.Took = a.rec.elapsed() - p.At
	a.rec.recorder.Probe(p)
	return ctx.Err()
}

// runbookMonitor runs `redis-cli monitor | grep "SET lock:"` as it is written. The
// pattern has no special characters, so grep's work is done here: that tells what
// redis-cli printed from what grep let through.
func runbookMonitor(ctx context.Context, a *armRun, length time.Duration) history.Probe {
	p := history.Probe{At: a.rec.elapsed(), Name: history.RunbookMonitor,
		Command: `redis-cli monitor | grep "SET lock:"`}
	console, ok := a.host.server.(server.Console)
	if !ok {
		p.Error = server.ErrNoConsole.Error()
		return p
	}
	bounded, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	defer cutMonitors(ctx, a)
	printed := &grep{pattern: []byte("SET lock:")}
	typed, err := console.RedisCLI(bounded, printed, "monitor")
	if err != nil {
		p.Error = err.Error()
		return p
	}
	p.Command = typed + ` | grep "SET lock:"`
	p.Lines, p.Matches, p.Output = printed.lines, printed.matches, strings.TrimSpace(string(printed.head))
	p.Connected = strings.HasPrefix(p.Output, "OK")
	if p.Output == "" && bounded.Err() != nil { // what is turned away is told so
		p.Error = fmt.Sprintf("redis-cli was not answered within %v", length)
	}
	return p
}

// cutMonitors ends a redis-cli that was left behind in a container, by its
// connection. On a server that lockjam did not start a monitor may be another user's.
func cutMonitors(ctx context.Context, a *armRun) {
	ctx, cancel := server.Within(ctx, askWithin)
	defer cancel()
	if a.host.server.Info().Kind != server.KindContainer {
		return
	}
	list, err := a.host.control.Admin.ClientList(ctx).Result()
	if err != nil {
		return
	}
	for c := range server.Clients(list) {
		if c.Command == "monitor" && c.Name != server.MonitorName {
			_ = a.host.control.Admin.ClientKillByFilter(ctx, "ID", strconv.FormatInt(c.ID, 10)).Err()
		}
	}
}

// oneMoreSlot raises maxclients by one, sees whether anything is granted or
// released, and sets it back. It is a question and no remedy: the slot goes to
// whichever client dials first.
func oneMoreSlot(ctx context.Context, a *armRun, length time.Duration) history.Probe {
	p := history.Probe{At: a.rec.elapsed(), Name: history.OneMoreSlot}
	if err := a.host.reconfigurable(); err != nil {
		p.Error = err.Error()
		return p
	}
	asking, cancel := server.Within(ctx, askWithin)
	defer cancel()
	limit, err := a.host.control.MaxClients(asking)
	if err != nil {
		p.Error = err.Error()
		return p
	}
	set := func(ctx context.Context, n int) error {
		return a.host.control.Admin.ConfigSet(ctx, "maxclients", strconv.Itoa(n)).Err()
	}
	if a.host.attached() { // it may be cut short with the limit raised
		a.host.later(func(ctx context.Context) error { return set(ctx, limit) })
	}
	p.Command = fmt.Sprintf("CONFIG SET maxclients %d", limit+1)
	before := a.swarm.Snapshot()
	if err := set(asking, limit+1); err != nil {
		p.Error = err.Error()
		return p
	}
	p.Connected, p.Output = true, "OK"
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	after := a.swarm.Snapshot()
	p.Grants, p.Releases = after.Grants-before.Grants, after.Releases-before.Releases
	back, done := server.Within(context.WithoutCancel(ctx), hurryWithin)
	defer done()
	if err := set(back, limit); err != nil {
		p.Error = "setting it back: " + err.Error()
	}
	return p
}

// grep counts the lines that are written to it and those with the pattern in them,
// and keeps the beginning.
type grep struct {
	pattern        []byte
	lines, matches int64
	rest           []byte
	head           []byte
}

// maxHead bounds what is kept of what a command printed, and of a line, in bytes.
const maxHead = 300

func (g *grep) Write(p []byte) (int, error) {
	g.head = append(g.head, p[:min(len(p), maxHead-len(g.head))]...)
	written := len(p)
	for len(p) > 0 {
		line, after, whole := bytes.Cut(p, []byte("\n"))
		g.rest = append(g.rest, line...)
		p = after
		if !whole {
			g.rest = g.rest[:min(len(g.rest), 64<<10)]
			break
		}
		if len(bytes.TrimSpace(g.rest)) > 0 {
			g.lines++
		}
		if bytes.Contains(g.rest, g.pattern) {
			g.matches++
		}
		g.rest = g.rest[:0]
	}
	return written, nil
}
