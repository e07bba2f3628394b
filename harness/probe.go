package harness

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
func (a *armRun) probe(ctx context.Context) error {
	length := a.sc.Watch.ProbeMS.Duration()
	if length == 0 || a.remedy.Name != remedies.NoRemedy || a.sc.Trigger.Kind == triggers.None {
		return nil
	}
	a.mark(history.PhaseMark, history.Probing, "")
	a.watcher.Now(ctx)
	before := a.swarm.Snapshot()
	p := a.runbookMonitor(ctx, length)
	p.Took = a.elapsed() - p.At
	// A refusal comes at once. The rest of the time shows what moves by itself.
	if err := a.wait(ctx, length-p.Took); err != nil {
		return err
	}
	idle := a.swarm.Snapshot()
	p.Grants, p.Releases = idle.Grants-before.Grants, idle.Releases-before.Releases
	a.recorder.Probe(p)
	p = a.oneMoreSlot(ctx, length)
	p.Took = a.elapsed() - p.At
	a.recorder.Probe(p)
	return ctx.Err()
}

// runbookMonitor runs `redis-cli monitor | grep "SET lock:"` as it is written. The
// pattern has no special characters, so grep's work is done here: that tells what
// redis-cli printed from what grep let through.
func (a *armRun) runbookMonitor(ctx context.Context, length time.Duration) history.Probe {
	p := history.Probe{At: a.elapsed(), Name: history.RunbookMonitor, Command: `redis-cli monitor | grep "SET lock:"`}
	console, ok := a.server.(server.Console)
	if !ok {
		p.Error = server.ErrNoConsole.Error()
		return p
	}
	bounded, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	defer a.cutMonitors(ctx)
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
// connection. On somebody else's server a monitor may be somebody's.
func (a *armRun) cutMonitors(ctx context.Context) {
	ctx, cancel := server.Within(ctx, askWithin)
	defer cancel()
	if a.server.Info().Kind != server.KindContainer {
		return
	}
	list, err := a.control.Admin.ClientList(ctx).Result()
	if err != nil {
		return
	}
	for line := range strings.Lines(list) {
		if clientField(line, "cmd") == "monitor" && clientField(line, "name") != server.MonitorName {
			_ = a.control.Admin.ClientKillByFilter(ctx, "ID", clientField(line, "id")).Err()
		}
	}
}

// oneMoreSlot raises maxclients by one, sees whether anything is granted or
// released, and sets it back. It is a question and no remedy: who gets the slot
// is a matter of who dials first.
func (a *armRun) oneMoreSlot(ctx context.Context, length time.Duration) history.Probe {
	p := history.Probe{At: a.elapsed(), Name: history.OneMoreSlot}
	if err := a.reconfigurable(); err != nil {
		p.Error = err.Error()
		return p
	}
	asking, cancel := server.Within(ctx, askWithin)
	defer cancel()
	limit, err := a.control.MaxClients(asking)
	if err != nil {
		p.Error = err.Error()
		return p
	}
	set := func(ctx context.Context, n int) error {
		return a.control.Admin.ConfigSet(ctx, "maxclients", strconv.Itoa(n)).Err()
	}
	if a.attached() { // it may be cut short with the limit raised
		a.undo = append(a.undo, func(ctx context.Context) error { return set(ctx, limit) })
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

// clientField reads a field of a line of CLIENT LIST.
func clientField(line, field string) string {
	for f := range strings.FieldsSeq(line) {
		if name, value, _ := strings.Cut(f, "="); name == field {
			return value
		}
	}
	return ""
}

// probes puts what the probes showed into the result, each with a sentence.
func (j *judge) probes() {
	moved := int64(0) // in the probe before, which lasts as long and changes nothing
	for _, p := range j.h.Probes {
		r := Probe{
			Name: p.Name, Did: p.Command, AtMS: millis(p.At), TookMS: millis(p.Took), Connected: p.Connected, Lines: p.Lines,
			Matches: p.Matches, Grants: p.Grants, Releases: p.Releases, Said: p.Output, Failed: p.Error,
		}
		switch {
		case p.Error != "":
			r.Because = "It could not be done: " + p.Error + "."
		case p.Name == history.RunbookMonitor && !p.Connected:
			r.Because = fmt.Sprintf("It could not connect, and grep printed nothing: redis-cli said %q.", firstLine(p.Output))
		case p.Name == history.RunbookMonitor:
			r.Because = fmt.Sprintf("It connected; of %d lines that MONITOR printed grep let %d through.", p.Lines, p.Matches)
		case p.Grants+p.Releases == 0:
			r.Because = "With one more slot nothing moved."
		case moved > 0:
			r.Because = fmt.Sprintf("With one more slot there were %s and %s; but it was moving before that.", plural(p.Grants, "grant"), plural(p.Releases, "release"))
		default:
			r.Because = fmt.Sprintf("With one more slot work went on: %s and %s.", plural(p.Grants, "grant"), plural(p.Releases, "release"))
		}
		moved = p.Grants + p.Releases
		j.r.Probes = append(j.r.Probes, r)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
