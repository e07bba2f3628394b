package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/server"
)

func TestCodeOf(t *testing.T) {
	stopped := &interrupted{os.Interrupt}
	arm := func(err error) error { return fmt.Errorf("some-scenario, arm control: %w", err) }
	for _, c := range []struct {
		name string
		err  error
		want exitCode
	}{
		{"nothing went wrong", nil, 0},
		{"an expectation was not met", outcomeError(result.Fail), 1},
		{"nothing can be said", outcomeError(result.Inconclusive), 2},
		{"a flag", &usageError{message: "x"}, 64},
		{"a scenario file", scenario.Errors{{Path: "a.yaml", Line: 1, Column: 1, Message: "x"}}, 64},
		{"an unknown scenario among others", errors.Join(fmt.Errorf("%w: x", scenario.ErrUnknown)), 64},
		// harness says of a folder that cannot be written to that it is both.
		{"results cannot be written", fmt.Errorf("%w: %w", result.ErrUsage, result.ErrInternal), 64},
		{"an unknown kind of server", fmt.Errorf("%w: x", server.ErrUsage), 64},
		{"no server", arm(fmt.Errorf("%w: x", server.ErrUnavailable)), 69},
		{"no server, and then it could not be removed", errors.Join(server.ErrUnavailable, result.ErrCleanup), 70},
		{"the disk is full", arm(result.ErrInternal), 70},
		{"an error of a kind that nobody has thought of", errors.New("x"), 70},
		{"a signal", errors.Join(stopped, arm(context.Canceled)), 130},
		// 130 promises that everything is gone.
		{"a signal, and something is left", errors.Join(stopped, arm(context.Canceled), result.ErrCleanup), 70},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"an outcome is in the summary already", outcomeError(result.Fail), nil},
		{"every problem of a file, as editors want it",
			scenario.Errors{{Path: "a.yaml", Line: 2, Column: 3, Message: "x"},
				{Path: "a.yaml", Line: 4, Column: 1, Message: "y"}},
			[]string{"a.yaml:2:3: x", "a.yaml:4:1: y"}},
		{"two files", errors.Join(scenario.Errors{{Path: "a", Line: 1, Column: 1, Message: "x"}},
			scenario.Errors{{Path: "b", Line: 1, Column: 1, Message: "y"}}),
			[]string{"a:1:1: x", "b:1:1: y"}},
		{"several %w are one sentence", fmt.Errorf("%w: %w", result.ErrInternal, errors.New("disk full")),
			[]string{"lockjam: internal error: disk full"}},
		{"the sentinel is no word of the message", fmt.Errorf("%w: no arm %q", result.ErrUsage, "x"),
			[]string{`lockjam: no arm "x"`}},
		{"nothing reaches the terminal that it would act upon", errors.New("a\x1b[31mb\u009bc"),
			[]string{"lockjam: a�[31mb�c"}},
	} {
		if got := complaints(c.err); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// What a signal ended says so once, and what it left behind.
func TestBecause(t *testing.T) {
	stopped := &interrupted{os.Interrupt}
	left := fmt.Errorf("%w: process 7", result.ErrCleanup)
	ctx, cancel := context.WithCancelCause(context.Background())
	if err := because(ctx, left); err != left {
		t.Errorf("nothing has ended the context, and %v became %v", left, err)
	}
	cancel(stopped)
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"nothing came of it", nil, nil},
		{"the arms were cancelled", errors.Join(stopped, fmt.Errorf("s, arm a: %w", context.Canceled)),
			[]string{"lockjam: interrupted by SIGINT"}},
		{"a server did not start for it",
			errors.Join(stopped, fmt.Errorf("s, arm a: wait for 127.0.0.1:1: %w (connection refused)", stopped)),
			[]string{"lockjam: interrupted by SIGINT"}},
		{"an image was not pulled for it", fmt.Errorf("pull: %w", stopped), []string{"lockjam: interrupted by SIGINT"}},
		{"something is left", errors.Join(stopped, errors.Join(context.Canceled, left)),
			[]string{"lockjam: interrupted by SIGINT", "lockjam: could not clean up: process 7"}},
	} {
		if got := complaints(because(ctx, c.err)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}
