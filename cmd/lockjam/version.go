package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/result"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of lockjam, go-redis and Go",
		Args:  exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e := result.ThisEnvironment()
			return put(cmd.OutOrStdout(), fmt.Appendf(nil, "lockjam %s\ngo-redis %s\ngo %s\nos %s\n", e.Lockjam,
				e.GoRedis, e.Go, e.OS))
		},
	}
}
