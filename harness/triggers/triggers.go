// Package triggers is the catalogue of what starts an incident, one file each. A
// trigger is a push: in a metastable failure the sustaining effect keeps things
// down when the trigger is gone (Bronson et al., HotOS 2021), so what a trigger
// began it also ends, if it has an end.
package triggers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/faults"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// Settings is what a scenario file says of its trigger. Every kind uses some of it.
type Settings struct {
	Kind      string `yaml:"kind" json:"kind"`                     // which trigger
	Instances int    `yaml:"instances" json:"instances,omitempty"` // how many service instances run from then on
	Workers   int    `yaml:"workers" json:"workers,omitempty"`     // how many workers each instance runs from then on

	// requests, or leaked connections, per second for as long as it lasts
	RatePerS float64      `yaml:"rate_per_s" json:"rate_per_s,omitempty"`
	ForMS    swarm.Millis `yaml:"for_ms" json:"for_ms,omitempty"` // how long it lasts, in milliseconds
	Count    int          `yaml:"count" json:"count,omitempty"`   // of connections, or of locks

	// of the client that leaks; 0: it never stands in the way
	PoolSize int `yaml:"pool_size" json:"pool_size,omitempty"`

	// how long the work under a lock takes, in milliseconds
	HoldMS swarm.Millis `yaml:"hold_ms" json:"hold_ms,omitempty"`
	// how far a replica lags behind, in milliseconds
	LagMS swarm.Millis `yaml:"lag_ms" json:"lag_ms,omitempty"`
	// how long one script keeps the server busy, in milliseconds
	ScriptMS swarm.Millis `yaml:"script_ms" json:"script_ms,omitempty"`
	// how long replies vanish at a time, in milliseconds
	DropMS swarm.Millis `yaml:"drop_ms" json:"drop_ms,omitempty"`
	// from the beginning of one to that of the next, in milliseconds; 0: there is one
	EveryMS swarm.Millis `yaml:"every_ms" json:"every_ms,omitempty"`
}

// Trigger is one way to start an incident.
type Trigger struct {
	Name    string
	Summary string
	// Uses are the settings beside kind that it has, by their names in a scenario
	// file. It takes each of them.
	Uses []string
	// Topologies are those of the server that it takes; none is any.
	Topologies []server.Topology
	// Network says that it does something to the traffic: the swarm then dials the
	// server through a proxy.
	Network bool
	// Silences is for how long it keeps the server from answering any client; nil: not at all, or by
	// keeping it busy, restarting it or killing it.
	Silences func(s Settings) time.Duration
	// Disturbs says that every client of the server feels it, and not the swarm alone: it
	// is not for a server that lockjam did not start, unless that is allowed.
	Disturbs bool
	// Restarts is whether it calls Incident.Restart, which a server that lockjam did not
	// start does not take.
	Restarts bool
	// Check says what is wrong with settings that are within their ranges; nil finds
	// nothing.
	Check func(s Settings, of swarm.Settings) []Problem
	// Say is what happens, in words, for the log of the run.
	Say func(s Settings, of swarm.Settings) string
	// Fire acts and returns once the incident has been started. An error of the
	// context's ends the arm; what the trigger could not do it notes.
	Fire func(ctx context.Context, in *Handle) error
}

// Problem is one thing that is wrong with a trigger's settings. The first of the
// keys is complained about, the others are what it was compared with.
type Problem struct {
	Keys    []string
	Message string
}

// Handle is what a trigger may act on.
type Handle struct {
	Settings Settings
	Of       swarm.Settings // of the swarm as the arm runs it
	Swarm    *swarm.Swarm
	// Failover lets the replica of a pair lag for so long, kills the primary, and
	// returns when the pair is one again. What goes wrong with it ends the arm.
	Failover func(ctx context.Context, lag time.Duration) error
	// Note records what could not be done. It makes the arm inconclusive.
	Note func(words string)

	// Begin runs what goes on after Fire has returned. Its context ends with the
	// incident phase, or with the arm, and it is waited for then.
	Begin func(what func(ctx context.Context))
	// Admin is a connection that was opened before the swarm. A command over it waits
	// for its answer, whatever becomes of its context.
	Admin func() *redis.Client
	// Network is the traffic between the swarm and its server; nil unless the trigger
	// asks for it. What is left of its faults at the end of the incident phase, or of
	// the arm, is undone then.
	Network faults.Network
	// Restart restarts the server with the settings that it was started with, and has the
	// control connections in place before the swarm can dial again. It is
	// server.ErrNotOurs of a server that is not ours, and server.ErrWillNotStop of one that
	// refuses; what else goes wrong with it ends the arm.
	Restart func(ctx context.Context) error
	// Reconfigurable is nil, or says why the server is not ours to disturb.
	Reconfigurable error
	// Ours is the prefix of the names of all the run's clients on a server that lockjam did not start; "" on one of the
	// run's own, where there are no others.
	Ours string
}

// spares reports whether the server is one that must be left in peace, and notes why: with leave to change it, it is one
// while other applications use it.
func (in *Handle) spares(ctx context.Context) bool {
	why := in.Reconfigurable
	if why == nil && in.Ours != "" {
		why = Foreign(ctx, in.Admin(), in.Ours)
	}
	if why == nil {
		return false
	}
	in.Note(fmt.Sprintf("the trigger %s was not fired: %v", in.Settings.Kind, why))
	return true
}

// Foreign returns an error where clients of other applications are connected, or it is not known whether any are. The
// names of the run's own begin with ours.
func Foreign(ctx context.Context, c *redis.Client, ours string) error {
	list, err := c.ClientList(ctx).Result()
	if err != nil {
		return fmt.Errorf("it is not known whether other applications use the server: CLIENT LIST: %w", err)
	}
	others := 0
	for client := range server.Clients(list) {
		if !client.Instrument() && !strings.HasPrefix(client.Name, ours) {
			others++
		}
	}
	if others > 0 {
		return fmt.Errorf("clients of other applications are connected (%d), and it would hold them up: "+
			"use a server of its own", others)
	}
	return nil
}

// FireWithin bounds how long a trigger may take.
const FireWithin = 10 * time.Second

// All lists the catalogue, sorted by name.
func All() []Trigger {
	return []Trigger{
		crashHolders,
		crowd,
		dropReplies,
		failover,
		hotKey,
		leak,
		moreWorkers,
		none,
		pause,
		restart,
		severHolders,
		slowScript,
		slowWork,
		spike,
		stallHolders,
		surge,
	}
}

// None is the kind of a scenario in which nothing is started.
const None = "none"

// Find returns the trigger of that kind.
func Find(kind string) (Trigger, bool) {
	for _, t := range All() {
		if t.Name == kind {
			return t, true
		}
	}
	return Trigger{}, false
}

// Names lists the kinds.
func Names() []string {
	var names []string
	for _, t := range All() {
		names = append(names, t.Name)
	}
	return names
}

// needsHolders is what is wrong where not every lock has a holder at all times.
func needsHolders(s Settings, of swarm.Settings) []Problem {
	if of.Arrivals.Tenant == swarm.TenantByWorker && of.Workers() >= of.Lock.Tenants {
		return nil
	}
	return []Problem{{[]string{"trigger.kind", "swarm.arrivals.tenant"},
		s.Kind + " needs a holder for every lock: set swarm.arrivals.tenant to by-worker, and as many workers as tenants"}}
}
