package container

import (
	"context"
	"io"
	"time"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/lockjam/lockjam/harness/server"
)

// SetStrayAge changes the age from which a stray container is swept, until restore is called.
func SetStrayAge(age time.Duration) (restore func()) {
	was := strayAge
	strayAge = age
	return func() { strayAge = was }
}

// PassOn writes pieces of a program's output through programOutput to w, and reports whether the
// program was missing.
func PassOn(w io.Writer, pieces ...string) (missing bool) {
	o := &programOutput{w: w}
	for _, piece := range pieces {
		_, _ = io.WriteString(o, piece)
	}
	return o.missing
}

// StartPublished starts a container as Start does where this machine's network cannot be shared.
func StartPublished(ctx context.Context, spec server.Spec) (server.Server, error) {
	return startWith(ctx, spec, func(context.Context, *client.Client) networkMode { return publishedNetwork })
}

// OrProcesses starts what auto starts when containers refuse the topology.
var OrProcesses = orProcesses

// Shares reports whether a container would share the network of a machine with this name and
// kernel.
func Shares(docker system.Info, name, kernel string) bool {
	return networkFor(docker, name, kernel) == sharedNetwork
}
