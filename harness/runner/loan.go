package runner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/swarm"
)

// A server that lockjam did not start is on loan: what is changed on it is put back.

// later undoes something when the arm is over.
func (h *host) later(undo func(context.Context) error) { h.undo = append(h.undo, undo) }

// borrow readies a server that lockjam did not start: the run's own keys are removed when
// the arm is over, and its limit is changed only if that is allowed, and put back. It
// returns how the limit differs from one that is the arm's own.
func (h *host) borrow(ctx context.Context, j job) (differs []string, err error) {
	if err := h.mayClean(ctx, swarm.Patterns(h.prefix)); err != nil {
		return nil, err
	}
	h.later(h.removeKeys)
	was, err := h.control.MaxClients(ctx)
	if err != nil {
		return nil, err
	}
	want := j.sc.Server.MaxClients
	if !h.allowDestructive {
		if was != want && j.arm.Server != nil {
			// The limit is the arm's own: no server has both its and the other arms'.
			return []string{limitDiffers(want, was)}, nil
		}
		if was != want {
			return nil, fmt.Errorf("%w: the server at %s has maxclients %d and %s needs %d: set it there, or allow lockjam to with --allow-destructive",
				result.ErrUsage, h.server.Endpoint().Addr, was, j.sc.Name, want)
		}
		return nil, nil
	}
	if was == want {
		return nil, nil
	}
	set := func(ctx context.Context, n int) error {
		return h.control.Admin.ConfigSet(ctx, "maxclients", strconv.Itoa(n)).Err()
	}
	h.later(func(ctx context.Context) error { return set(ctx, was) })
	return nil, set(ctx, want)
}

// removeKeys deletes what the swarm wrote, and nothing else.
func (h *host) removeKeys(ctx context.Context) error {
	for _, pattern := range swarm.Patterns(h.prefix) {
		for it := h.control.Admin.Scan(ctx, 0, pattern, 1000).Iterator(); ; {
			if !it.Next(ctx) {
				if err := it.Err(); err != nil {
					return fmt.Errorf("removing keys %s: %w", pattern, err)
				}
				break
			}
			if err := h.control.Admin.Del(ctx, it.Val()).Err(); err != nil {
				return fmt.Errorf("removing key %s: %w", it.Val(), err)
			}
		}
	}
	return nil
}

// putBack undoes what was done to a server that lockjam did not start, last things first.
// A server that does not answer in time stays as it is, and the user is told.
func (h *host) putBack(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if len(h.undo) == 0 {
		return nil
	}
	if err := h.reconnect(ctx); err != nil {
		return fmt.Errorf("%w: the server at %s: %w", result.ErrCleanup, h.server.Endpoint().Addr, err)
	}
	var errs []error
	for i := len(h.undo) - 1; i >= 0; i-- {
		if err := h.undo[i](ctx); err != nil {
			errs = append(errs, fmt.Errorf("%w: the server at %s: %w", result.ErrCleanup, h.server.Endpoint().Addr,
				err))
		}
	}
	return errors.Join(errs...)
}

// mayClean makes sure, before anything is written, that the run's keys can be removed
// from a server that lockjam did not start when the arm is over. Only what is forbidden counts: what
// else goes wrong is for the arm to meet.
func (h *host) mayClean(ctx context.Context, patterns []string) error {
	for _, pattern := range patterns {
		for _, err := range []error{
			h.control.Admin.Scan(ctx, 0, pattern, 1).Err(),
			h.control.Admin.Del(ctx, strings.TrimSuffix(pattern, "*")+"none").Err(),
		} {
			if err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
				return fmt.Errorf("the keys of the run could not be removed from the server at %s: %w",
					h.server.Endpoint().Addr, err)
			}
		}
	}
	return nil
}

// limit makes sure that the server lets in as many clients as the scenario says. It
// returns how a server that lockjam did not start differs, where only this arm asks for it.
func (h *host) limit(ctx context.Context, j job) (differs []string, err error) {
	if h.attached() {
		if differs, err = h.borrow(ctx, j); err != nil || differs != nil {
			return differs, err
		}
	}
	err = server.VerifyMaxClients(ctx, h.control, j.sc.Server.MaxClients)
	if err == nil {
		return nil, nil
	}
	if log, logErr := h.server.Log(ctx); logErr == nil && server.LoweredLimit(log) != "" {
		return nil, fmt.Errorf("%w (its log: %s)", err, server.LoweredLimit(log))
	}
	return nil, err
}
