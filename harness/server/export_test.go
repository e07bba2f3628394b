package server

import (
	"context"
	"io"
	"time"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
)

// SetStrayAge changes how old a stray container has to be to be swept, until
// restore is called.
func SetStrayAge(age time.Duration) (restore func()) {
	was := strayAge
	strayAge = age
	return func() { strayAge = was }
}

// PassOn runs what a program printed, piece by piece, through what is between it and w, and says whether there was none.
func PassOn(w io.Writer, pieces ...string) (missing bool) {
	o := &programOutput{w: w}
	for _, piece := range pieces {
		_, _ = io.WriteString(o, piece)
	}
	return o.missing
}

// StartPublished starts a container as StartContainer does where this machine's network cannot be shared.
func StartPublished(ctx context.Context, spec Spec) (Server, error) {
	return startContainer(ctx, spec, func(context.Context, *client.Client) containerNetwork { return publishedNetwork })
}

// OrProcesses is how auto starts what containers cannot be.
var OrProcesses = orProcesses

// Shares says whether a container would share the network of a machine with this name and kernel.
func Shares(docker system.Info, name, kernel string) bool {
	return networkFor(docker, name, kernel) == sharedNetwork
}

// File is redis.conf.
func File(c Config) []byte { return c.file() }
