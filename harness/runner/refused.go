package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/text"
)

// startFailed says why no server came up: a server that does not take what the scenario
// asks of it is the scenario's fault, at the line of the directive, and everything else
// the machine's.
func (a *armRun) startFailed(ctx context.Context, err error) error {
	var ended *server.Ended
	switch {
	case ctx.Err() != nil, errors.Is(err, server.ErrTopology), errors.Is(err, server.ErrUnavailable), errors.Is(err, server.ErrUsage):
		return err
	case errors.As(err, &ended):
		if key, why := a.refused(ctx, ended); key != "" {
			return a.sc.Problem(a.arm.Name, key, why)
		}
	case denied(err):
		if key := a.accessKey(); key != "" {
			return a.sc.Problem(a.arm.Name, key, fmt.Sprintf("lockjam cannot use a server that is set up so: %s", text.OneLine(err)))
		}
	}
	return server.Unusable(err)
}

// refused finds the setting that a server did not start because of, as a key of the
// scenario's file, and what the server said. It is the directive that the server names,
// or else the one without which it starts; "" where it starts without none.
func (a *armRun) refused(ctx context.Context, ended *server.Ended) (key, why string) {
	asked := server.Config(a.sc.Server.ConfigIfKnown).With(a.sc.Server.Config)
	if name, said := ended.Directive(); name != "" {
		switch _, there := asked[name]; {
		case there:
			return a.directiveKey(name), "Redis does not take it: " + said
		case name == "maxclients":
			return "server.maxclients", "Redis does not take it: " + said
		}
		return "", ""
	}
	if len(asked) == 0 || !a.startsWith(ctx, nil) {
		return "", ""
	}
	why = "Redis does not start with it: " + ended.Words
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		others := maps.Clone(asked)
		delete(others, name)
		if a.startsWith(ctx, others) {
			return a.directiveKey(name), why
		}
	}
	return "server.config", why
}

// startsWith tries whether the server starts with these directives, and stops it.
func (a *armRun) startsWith(ctx context.Context, config server.Config) bool {
	s, err := a.options.Start(ctx, a.spec(config))
	if err != nil {
		return false
	}
	return s.Stop(ctx) == nil
}

// directiveKey is where the scenario has a directive.
func (a *armRun) directiveKey(name string) string {
	if _, there := a.sc.Server.Config[name]; there {
		return "server.config." + name
	}
	return "server.config_if_known." + name
}

// access are the directives that grant and deny rights on a server.
var access = []string{"user", "aclfile", "requirepass", "rename-command"}

// accessKey is the first of them that the scenario sets; "" if it sets none.
func (a *armRun) accessKey() string {
	for _, name := range access {
		if _, there := server.Config(a.sc.Server.ConfigIfKnown).With(a.sc.Server.Config)[name]; there {
			return a.directiveKey(name)
		}
	}
	return ""
}

// denied tells the answers of a server that does not let a user do something.
func denied(err error) bool {
	return slices.ContainsFunc([]string{"NOPERM", "NOAUTH", "WRONGPASS", "unknown command"}, func(word string) bool {
		return strings.Contains(err.Error(), word)
	})
}

// unusable says of a server that answers a PING, and not what else lockjam has to ask it,
// that it cannot be used. On a server of our own it is the scenario that forbids it.
func (a *armRun) unusable(ctx context.Context, err error) error {
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, result.ErrUsage), errors.Is(err, result.ErrInternal), errors.Is(err, server.ErrUnavailable):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, server.ErrControlLost): // it does not answer any more
		return fmt.Errorf("%w: %w", server.ErrUnavailable, err)
	case !a.attached() && denied(err) && a.accessKey() != "":
		return a.sc.Problem(a.arm.Name, a.accessKey(), fmt.Sprintf("lockjam cannot use a server that is set up so: %s", text.OneLine(err)))
	case a.attached() && denied(err):
		err = fmt.Errorf("%w: allow the user that lockjam uses INFO, CONFIG GET maxclients, SCAN, DEL and what the workers need", err)
	}
	return server.Unusable(err)
}

// mayClean makes sure, before anything is written, that the run's keys can be removed
// from a server that lockjam did not start when the arm is over. Only what is forbidden counts: what
// else goes wrong is for the arm to meet.
func (a *armRun) mayClean(ctx context.Context, patterns []string) error {
	for _, pattern := range patterns {
		for _, err := range []error{
			a.control.Admin.Scan(ctx, 0, pattern, 1).Err(),
			a.control.Admin.Del(ctx, strings.TrimSuffix(pattern, "*")+"none").Err(),
		} {
			if err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
				return fmt.Errorf("the keys of the run could not be removed from the server at %s: %w", a.server.Endpoint().Addr, err)
			}
		}
	}
	return nil
}
