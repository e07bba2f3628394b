// Package remedies is the catalogue of actions on a live incident, one file
// each. A remedy records what it did and what the server answered, step by
// step, so that the report reads like an incident log.
package remedies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockjam/lockjam/harness/server"
)

// ErrBlocked says that a remedy could not be applied: the server would not let
// it, which is a finding about the remedy and not a fault of the run.
var ErrBlocked = errors.New("blocked")

// Remedy is one action of the runbook's other half.
type Remedy struct {
	Name    string
	Claim   string // the claim of the runbook that it stands for, "" if it is ours
	Summary string
	Params  []Param
	// Restarts is whether it calls Incident.Restart, which takes a single server.
	Restarts bool
	// Apply acts and returns when the action is complete. An error that is
	// ErrBlocked makes the arm's verdict "blocked"; any other ends the arm.
	Apply func(ctx context.Context, in *Handle) error
}

// Param is a setting of a remedy, as scenario files give it.
type Param struct {
	Name    string
	Default string
	Check   func(value string) error // nil allows everything
}

// Handle is what a remedy may act on.
type Handle struct {
	Server  server.Server
	Config  server.Config     // what the server was started with
	Params  map[string]string // complete: defaults filled in
	Pattern string            // of the lock keys in reach: lock:*, or the run's own on a server that lockjam did not start
	// Ours is the prefix of the names in CLIENT LIST of all the run's clients on a server that
	// lockjam did not start; "" on its own, where there are no others.
	Ours string
	// Admin is a connection that was opened before the swarm. After a restart
	// it is a new one.
	Admin func() *redis.Client
	// Restart restarts the server with this configuration and has the control
	// connections in place before the swarm can dial again.
	Restart func(ctx context.Context, c server.Config) error
	// Reconfigurable is nil, or says why the server's settings are not ours to change.
	Reconfigurable error
	// Orphans looks twice, a moment apart, and returns the locks whose owner is dead:
	// key to the token that Redis holds. An error says why nothing can be known.
	Orphans func(ctx context.Context) (map[string]string, error)
	// Rollout replaces the service's instances in so many waves, that long apart, by
	// ones with the settings that the arm asks for. It returns when the last
	// one runs, and calls Step after every wave.
	Rollout func(ctx context.Context, waves int, pause time.Duration) error
	// Undo takes what puts things back as they were, once the arm is over. It is kept
	// outside of the server, and is called only where the server lives on after the
	// run. Not everything can be undone: a lock that was deleted is gone.
	Undo func(back func(context.Context) error)
	// Step records what was done and what came of it.
	Step func(did, answer string)
}

// All lists the catalogue, sorted by name.
func All() []Remedy {
	return []Remedy{
		killClients,
		none,
		raiseMaxclientsLive,
		raiseMaxclientsRestart,
		releaseOrphanedLocks,
		releaseStaleLocks,
		restartServer,
		rollout,
	}
}

// Find returns the remedy with that name; "" is none.
func Find(name string) (Remedy, bool) {
	if name == "" {
		name = none.Name
	}
	for _, r := range All() {
		if r.Name == name {
			return r, true
		}
	}
	return Remedy{}, false
}

// Complete fills in the defaults of the parameters that are not given.
func (r Remedy) Complete(given map[string]string) map[string]string {
	all := make(map[string]string, len(r.Params))
	for _, p := range r.Params {
		all[p.Name] = p.Default
		if v, ok := given[p.Name]; ok {
			all[p.Name] = v
		}
	}
	return all
}

// blocked wraps what stood in the way.
func blocked(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBlocked, fmt.Errorf(format, args...))
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if slices.Contains(words, v) {
			return nil
		}
		return fmt.Errorf("%q is not one of %s", v, strings.Join(words, ", "))
	}
}

func wholeNumber(low, high int) func(string) error {
	return func(v string) error {
		if n, err := strconv.Atoi(v); err != nil || n < low || n > high {
			return fmt.Errorf("%q is not a whole number from %d to %d", v, low, high)
		}
		return nil
	}
}
