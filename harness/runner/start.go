package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/text"
)

// starter starts the server of an arm, and finds the setting that a server did not start because of.
type starter struct{ job }

// start starts the server. A directive that it does not know and that the scenario can
// do without is left out.
func (s starter) start(ctx context.Context) (server.Server, server.Config, error) {
	ifKnown := maps.Clone(s.sc.Server.ConfigIfKnown)
	for {
		spec := s.spec(server.Config(s.sc.Server.Config).With(ifKnown))
		started, err := s.options.Start(ctx, spec)
		before := len(ifKnown)
		maps.DeleteFunc(ifKnown, func(directive, _ string) bool { return unknown(err, directive) })
		if len(ifKnown) == before {
			return started, spec.Config, err
		}
	}
}

// spec is the server of the arm, with these directives.
func (s starter) spec(config server.Config) server.Spec {
	return server.Spec{
		Config: server.Config{"maxclients": strconv.Itoa(s.sc.Server.MaxClients)}.With(config),
		Image:  s.image, Workspace: s.options.workspace,
		Name:     filepath.Base(filepath.Dir(s.folder)) + "-" + filepath.Base(s.folder),
		Topology: s.sc.Server.Topology,
	}
}

// unknown reports whether a server did not start because of a directive.
func unknown(err error, directive string) bool {
	ended, ok := errors.AsType[*server.Ended](err)
	if !ok {
		return false
	}
	name, _ := ended.Directive()
	return name == directive
}

// startFailed says why no server came up: a server that does not take what the scenario
// asks of it is the scenario's fault, at the line of the directive, and everything else
// the machine's.
func (s starter) startFailed(ctx context.Context, err error) error {
	var ended *server.Ended
	switch {
	case ctx.Err() != nil, errors.Is(err, server.ErrTopology), errors.Is(err, server.ErrUnavailable),
		errors.Is(err, server.ErrUsage):
		return err
	case errors.As(err, &ended):
		if key, why := s.refused(ctx, ended); key != "" {
			return s.sc.Problem(s.arm.Name, key, why)
		}
	case denied(err):
		if key := s.accessKey(); key != "" {
			return s.sc.Problem(s.arm.Name, key,
				fmt.Sprintf("lockjam cannot use a server that is set up so: %s", text.OneLine(err)))
		}
	}
	return server.Unusable(err)
}

// refused finds the setting that a server did not start because of, as a key of the
// scenario's file, and what the server said. It is the directive that the server names,
// or else the one without which it starts; "" where it starts without none.
func (s starter) refused(ctx context.Context, ended *server.Ended) (key, why string) {
	asked := server.Config(s.sc.Server.ConfigIfKnown).With(s.sc.Server.Config)
	if name, said := ended.Directive(); name != "" {
		switch _, there := asked[name]; {
		case there:
			return s.directiveKey(name), "Redis does not take it: " + said
		case name == "maxclients":
			return "server.maxclients", "Redis does not take it: " + said
		}
		return "", ""
	}
	if len(asked) == 0 || !s.startsWith(ctx, nil) {
		return "", ""
	}
	why = "Redis does not start with it: " + ended.Words
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		others := maps.Clone(asked)
		delete(others, name)
		if s.startsWith(ctx, others) {
			return s.directiveKey(name), why
		}
	}
	return "server.config", why
}

// startsWith tries whether the server starts with these directives, and stops it.
func (s starter) startsWith(ctx context.Context, config server.Config) bool {
	started, err := s.options.Start(ctx, s.spec(config))
	if err != nil {
		return false
	}
	return started.Stop(ctx) == nil
}

// directiveKey is where the scenario has a directive.
func (s starter) directiveKey(name string) string {
	if _, there := s.sc.Server.Config[name]; there {
		return "server.config." + name
	}
	return "server.config_if_known." + name
}

// access are the directives that grant and deny rights on a server.
var access = []string{"user", "aclfile", "requirepass", "rename-command"}

// accessKey is the first of them that the scenario sets; "" if it sets none.
func (s starter) accessKey() string {
	for _, name := range access {
		if _, there := server.Config(s.sc.Server.ConfigIfKnown).With(s.sc.Server.Config)[name]; there {
			return s.directiveKey(name)
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
func unusable(ctx context.Context, a *armRun, err error) error {
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, result.ErrUsage), errors.Is(err, result.ErrInternal),
		errors.Is(err, server.ErrUnavailable):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, server.ErrControlLost): // it does not answer any more
		return fmt.Errorf("%w: %w", server.ErrUnavailable, err)
	case !a.host.attached() && denied(err) && starter{a.job}.accessKey() != "":
		return a.sc.Problem(a.arm.Name, starter{a.job}.accessKey(),
			fmt.Sprintf("lockjam cannot use a server that is set up so: %s", text.OneLine(err)))
	case a.host.attached() && denied(err):
		err = fmt.Errorf("%w: allow the user that lockjam uses INFO, CONFIG GET maxclients, SCAN, DEL and what the workers need", err)
	}
	return server.Unusable(err)
}
