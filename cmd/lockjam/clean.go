package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/server/container"
	"github.com/lockjam/lockjam/harness/text"
)

const cleanHelp = `Remove whatever lockjam runs left behind that were killed: Redis processes,
containers and folders for temporary files. Only what lockjam started itself is
touched, and nothing that belongs to a run that still goes on. Results stay.

Every run does the same before it starts.`

func newClean() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove whatever an interrupted run left behind, ours only",
		Long:  cleanHelp,
		Args:  exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, fail := context.WithCancelCause(cmd.Context())
			defer onSignals(fail, func(s string) { cmd.PrintErrln("lockjam: " + s) })()
			var found bytes.Buffer
			swept, err := server.Sweep(ctx, container.Leftovers,
				func(line string) { fmt.Fprintln(&found, text.Printable(line)) })
			switch {
			case ctx.Err() != nil:
				err = because(ctx, err)
			case err != nil:
				err = fmt.Errorf("%w: %w", result.ErrCleanup, err)
			case swept == server.Swept{} && found.Len() == 0:
				found.WriteString("nothing left behind\n")
			}
			if writeErr := put(cmd.OutOrStdout(), found.Bytes()); err == nil {
				err = writeErr
			}
			return err
		},
	}
}
