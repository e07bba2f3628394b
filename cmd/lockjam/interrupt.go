package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
)

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ by os.Signal }

func (e *interrupted) Error() string {
	name := map[os.Signal]string{os.Interrupt: "SIGINT", syscall.SIGTERM: "SIGTERM", syscall.SIGHUP: "SIGHUP"}[e.by]
	if name == "" {
		name = e.by.String()
	}
	return "interrupted by " + name
}

// echo is how long after a signal another one is taken for the same: timeout(1)
// signals its child and then the child's process group, and a shell's Ctrl-C
// reaches a program both directly and through a parent that passes it on.
const echo = 250 * time.Millisecond

// onSignals ends a context at the first signal, so that everything started can
// be taken down, and lockjam at the second. The returned function gives the
// signals back.
//
// Only commands that start or remove something need it.
func onSignals(fail context.CancelCauseFunc, say func(string)) (giveBack func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup asks to outlive the terminal
		signal.Notify(signals, syscall.SIGHUP)
	}
	// A reader that goes away (| head) would end lockjam with a SIGPIPE in
	// mid-run, and leave servers behind. With a handler, writing is an error.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			fail(&interrupted{s})
		case <-done:
			return
		}
		// A goroutine that waits for the terminal, as say may, must not hold up the second signal.
		go say("stopping: cleaning up (again: at once)")
		first := time.Now()
		for {
			select {
			case <-signals:
				if time.Since(first) > echo {
					os.Exit(int(exitInterrupted))
				}
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		close(done)
		fail(nil)
	}
}

// because puts the cause of an ended context in front of what it led to. That
// every arm was cancelled then goes without saying; what was left behind does not.
func because(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil {
		return err
	}
	said := []error{cause}
	for _, e := range flatten(err) {
		follows := errors.Is(e, cause) || errors.Is(e, context.Canceled)
		if !follows || errors.Is(e, result.ErrCleanup) || errors.Is(e, result.ErrInternal) ||
			errors.Is(e, server.ErrUnusable) {
			said = append(said, e)
		}
	}
	return errors.Join(said...)
}
