package server

import (
	"errors"
	"strings"

	"github.com/lockjam/lockjam/harness/machine"
)

// ErrUnusable marks what is there and cannot be used: a server that refuses what lockjam has to ask
// it, a disk that is full, a limit of this machine. Its text is in no message: see [Unusable].
var ErrUnusable = errors.New("cannot be used")

// Unusable marks an error as ErrUnusable. The message is the error's own, with what to do about it
// where this machine has run out of something.
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
