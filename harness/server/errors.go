package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lockjam/lockjam/harness/machine"
)

var (
	// ErrNotOurs is the answer of a server that lockjam did not start to Kill, Pause, Resume and
	// Restart.
	ErrNotOurs = errors.New("not started by lockjam")

	// ErrUnavailable reports that there is no Redis to use. The message around it says what to
	// install.
	ErrUnavailable = errors.New("no Redis found")

	// ErrWillNotStop reports that a server refuses to stop and keeps running. The message contains
	// its reason, from its log.
	ErrWillNotStop = errors.New("the server refuses to stop")

	// ErrUsage reports that the caller asked for something that does not exist, such as an unknown
	// kind of server.
	ErrUsage = errors.New("usage")

	// ErrUnusable marks a resource that exists but cannot be used: a server that refuses lockjam's
	// requests, a full disk, a limit of this machine. Its text appears in no message: see
	// [Unusable].
	ErrUnusable = errors.New("cannot be used")
)

// Unusable marks an error as ErrUnusable. The message is the error's own, followed by advice if
// this machine has run out of a resource.
func Unusable(err error) error {
	if errors.Is(err, ErrUnusable) {
		return err
	}
	return unusable{err}
}

type unusable struct{ error }

func (u unusable) Error() string {
	text, advice := u.error.Error(), machine.Advice(u.error)
	if advice == "" || strings.Contains(text, advice) {
		return text
	}
	return text + ": " + advice
}

func (u unusable) Unwrap() error        { return u.error }
func (u unusable) Is(target error) bool { return target == ErrUnusable }

// Unavailable returns an ErrUnavailable with that message, or the context's cause if the context
// has ended.
func Unavailable(ctx context.Context, format string, arguments ...any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, fmt.Errorf(format, arguments...))
}

// OneLine joins the lines of an error from another program's library. The result wraps the error.
func OneLine(err error) error { return singleLine{err} }

type singleLine struct{ error }

func (s singleLine) Error() string { return strings.Join(strings.Fields(s.error.Error()), " ") }
func (s singleLine) Unwrap() error { return s.error }
