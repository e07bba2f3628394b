package observe

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// UnknownIn says in one line when nothing was known, and when nothing of what some signals
// read; "" if that was never so.
func UnknownIn(last Reading) string {
	var parts []string
	if len(last.Unknown) > 0 {
		parts = append(parts, fmt.Sprintf("%.1f s of %.1f s are not known: %s",
			last.UnknownMS/1000, last.AtMS/1000, gapsText(last.Unknown)))
	}
	byGaps := map[string][]string{}
	var order []string
	for _, x := range last.Signals {
		if len(x.Unknown) == 0 {
			continue
		}
		text := fmt.Sprintf("%.1f s are not known: %s", *x.UnknownMS/1000, gapsText(x.Unknown))
		if byGaps[text] == nil {
			order = append(order, text)
		}
		byGaps[text] = append(byGaps[text], x.Name)
	}
	for _, text := range order {
		parts = append(parts, "of "+strings.Join(byGaps[text], ", ")+" "+text)
	}
	return strings.Join(parts, "; ")
}

// gapsShown bounds how many gaps stand in a line of text. JSON has more.
const gapsShown = 5

func gapsText(gaps []Gap) string {
	var parts []string
	for i, g := range gaps {
		if i == gapsShown {
			parts = append(parts, fmt.Sprintf("and %d more", len(gaps)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%.1f-%.1f s (%s)", g.FromMS/1000, g.ToMS/1000, g.Why))
	}
	return strings.Join(parts, ", ")
}

// Reasons are why the signals said nothing when that was printed last, "" for one
// that said something; without the figures, which change by themselves.
type Reasons map[string]string

var digits = regexp.MustCompile(`[0-9.]+`)

// Explain says which signals say nothing, and why: first of all of them, and then
// of those of which that has changed.
func (r Reasons) Explain(s Reading) string {
	first := len(r) == 0
	var changed []SignalReading
	for _, x := range s.Signals {
		why := digits.ReplaceAllString(x.Unavailable, "#")
		if was, known := r[x.Name]; !known || was != why {
			changed = append(changed, x)
		}
		r[x.Name] = why
	}
	at := ""
	if !first {
		at = fmt.Sprintf("%4.0f s  ", s.AtMS/1000)
	}
	var b bytes.Buffer
	for _, available := range []bool{true, false} {
		byReason := map[string][]string{}
		var order []string
		for _, x := range changed {
			if available != (x.Unavailable == "") {
				continue
			}
			if byReason[x.Unavailable] == nil {
				order = append(order, x.Unavailable)
			}
			byReason[x.Unavailable] = append(byReason[x.Unavailable], x.Name)
		}
		for _, reason := range order {
			names := strings.Join(byReason[reason], ", ")
			line := fmt.Sprintf("not available: %s (%s)", names, reason)
			switch {
			case available && first:
				line = "watching " + names
			case available:
				line = "available now: " + names
			case first:
				line = "not available here: " + names + " (" + reason + ")"
			}
			for i, l := range text.Wrap(line, text.PageWidth-len(at)) {
				margin := at
				if i > 0 {
					margin = strings.Repeat(" ", len(at))
				}
				fmt.Fprintln(&b, margin+l)
			}
		}
	}
	return b.String()
}

// SecondLine is a second on one line.
func SecondLine(s Reading) string {
	at := fmt.Sprintf("%4.0f s  ", s.AtMS/1000)
	var parts []string
	if s.Error != "" {
		parts = append(parts, "NO ANSWER: "+s.Error)
	}
	if s.Connected != nil {
		clients := fmt.Sprintf("clients %d", *s.Connected)
		if s.MaxClients != nil && *s.MaxClients > 0 {
			taken, beyond := result.SlotsTaken(*s.Connected, *s.MaxClients)
			clients = fmt.Sprintf("clients %d/%d (%.0f%%)%s", taken, *s.MaxClients,
				100*float64(taken)/float64(*s.MaxClients), beyond)
		}
		parts = append(parts, clients)
	}
	if s.RejectedPerS != nil {
		parts = append(parts, fmt.Sprintf("rejected %.0f/s", *s.RejectedPerS))
	}
	if s.CommandsPerS != nil {
		parts = append(parts, fmt.Sprintf("commands %.0f/s", *s.CommandsPerS))
	}
	parts = append(parts, standingParts(s.Standing)...)
	for _, prefix := range slices.Sorted(maps.Keys(s.ErrorRepliesPerS)) {
		parts = append(parts, fmt.Sprintf("%s %.0f/s", prefix, s.ErrorRepliesPerS[prefix]))
	}
	parts = append(parts, locksPart(s)...)
	if m := s.Monitor; m != nil {
		parts = append(parts, monitorPart(*m))
	}
	if c := s.Canary; c != nil {
		parts = append(parts, canaryPart(*c))
	}
	var firing []string
	for _, x := range s.Signals {
		if x.Firing != nil && *x.Firing {
			firing = append(firing, x.Name)
		}
	}
	if len(firing) > 0 {
		parts = append(parts, "FIRING "+strings.Join(firing, ", "))
	}
	return at + strings.Join(parts, "  ")
}

// fullMemory is how much of maxmemory is worth showing.
const fullMemory = 0.9

// standingParts are what is not as usual with memory, persistence and replication.
func standingParts(s Standing) (parts []string) {
	if s.UsedMemory != nil && s.MaxMemory != nil && *s.MaxMemory > 0 {
		if used := float64(*s.UsedMemory) / float64(*s.MaxMemory); used >= fullMemory {
			parts = append(parts, fmt.Sprintf("memory %.0f%% of maxmemory", 100*used))
		}
	}
	if s.EvictedPerS != nil && *s.EvictedPerS > 0 {
		parts = append(parts, fmt.Sprintf("evicted %.0f/s", *s.EvictedPerS))
	}
	if s.BgsaveStatus != nil && *s.BgsaveStatus != "ok" {
		parts = append(parts, "last RDB save: "+*s.BgsaveStatus)
	}
	if s.AOFStatus != nil && *s.AOFStatus != "ok" {
		parts = append(parts, "last AOF write: "+*s.AOFStatus)
	}
	if s.Role != nil && s.RoleBefore != nil {
		parts = append(parts, fmt.Sprintf("role %s, was %s", *s.Role, *s.RoleBefore))
	}
	return parts
}

// locksPart is what is known of the lock keys, in at most one part of a line.
func locksPart(s Reading) []string {
	if s.LockKeys == nil {
		return nil
	}
	locks := fmt.Sprintf("locks %d", *s.LockKeys)
	if s.LockKeysPartial {
		locks += " so far"
	}
	if s.NoTTL != nil && *s.NoTTL > 0 {
		of := ""
		if s.LockKeysAsked != nil && *s.LockKeysAsked < *s.LockKeys {
			of = fmt.Sprintf(" of %d asked", *s.LockKeysAsked)
		}
		locks += fmt.Sprintf(" (%d%s without TTL)", *s.NoTTL, of)
	}
	if s.OldestIdleS != nil && *s.OldestIdleS > 0 {
		locks += fmt.Sprintf(" (idle %.0f s)", *s.OldestIdleS)
	}
	return []string{locks}
}

func monitorPart(m MonitorReading) string {
	if m.Error != "" {
		return "MONITOR: " + m.Error
	}
	part := fmt.Sprintf("tries %.0f/s  releases %.0f/s", m.AttemptsPerS, m.ReleasesPerS)
	if m.StuckAttempts > 1 {
		part += fmt.Sprintf("  %s tried %d times, not released", m.StuckLock, m.StuckAttempts)
	}
	return part
}

func canaryPart(c CanaryReading) string {
	if c.Error != "" {
		return "canary: " + c.Error
	}
	part := fmt.Sprintf("canary %s (%d of %d admitted)", text.Dash(c.Last), c.Admitted, c.Dials)
	if c.Last == "refused" && c.Words != "" {
		part += ": " + c.Words
	}
	return part
}

// stillFiring is "?" for a signal that can say nothing any more.
func stillFiring(x SignalReading) string {
	switch {
	case x.Firing == nil:
		return "?"
	case *x.Firing:
		return "yes"
	}
	return "no"
}

// FiredTable lists what fired, and when; then what was not known.
func FiredTable(s Reading) string {
	var b bytes.Buffer
	if len(s.Fired()) == 0 {
		fmt.Fprintf(&b, "no signal fired in %.0f s\n", s.AtMS/1000)
	} else {
		fmt.Fprintln(&b)
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "FIRED\tCLAIM\tFIRST AFTER\tFOR\tSTILL")
		for _, x := range s.Signals {
			if x.FiredAtMS != nil {
				_, _ = fmt.Fprintf(t, "%s\t%s\t%.1f s\t%.1f s\t%s\n", x.Name, text.Dash(x.Claim), *x.FiredAtMS/1000,
					x.FiringMS/1000,
					stillFiring(x))
			}
		}
		_ = t.Flush()
	}
	if why := UnknownIn(s); why != "" {
		fmt.Fprintln(&b, strings.Join(text.Wrap(why, text.PageWidth), "\n"))
	}
	for _, x := range s.Signals {
		if x.Waiting {
			fmt.Fprintln(&b, strings.Join(text.Wrap("nothing to compare with: "+x.Name+" ("+x.Unavailable+")",
				text.PageWidth), "\n"))
		}
	}
	return b.String()
}
