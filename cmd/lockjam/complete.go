package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/signals"
	"github.com/lockjam/lockjam/scenarios"
)

// completeScenarios is for the shell's tab key: names and files.
func completeScenarios(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return scenarios.Names, cobra.ShellCompDirectiveDefault
}

// completeRuns offers the run folders where runs are recorded, and folders.
func completeRuns(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	out := cmp.Or(os.Getenv("LOCKJAM_OUT"), "results") // where run would record
	found, _ := filepath.Glob(filepath.Join(out, "*", "run.json"))
	var names []string
	for _, path := range found {
		if folder := filepath.Dir(path); strings.HasPrefix(folder, begun) {
			names = append(names, folder)
		}
	}
	if len(names) > 0 {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// complete offers values of a flag, given what stands on the command line beside it.
func complete(cmd *cobra.Command, flag string, values func(args []string) []string) {
	err := cmd.RegisterFlagCompletionFunc(flag,
		func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return values(args), cobra.ShellCompDirectiveNoFileComp
		})
	if err != nil { // there is no such flag: a mistake of ours, that any test finds
		panic(err)
	}
}

// always offers the same.
func always(values ...string) func([]string) []string {
	return func([]string) []string { return values }
}

// armNames lists the arms of the scenarios that are named, or of the catalogue.
func armNames(args []string) []string {
	if len(args) == 0 {
		args = scenarios.Names
	}
	var names []string
	for _, arg := range args {
		sc, err := loadScenario(arg)
		if err != nil {
			continue // it is still being typed
		}
		for _, a := range sc.Arms {
			names = append(names, a.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// signalParams lists SIGNAL.NAME= of every parameter that watch takes.
func signalParams([]string) []string {
	var names []string
	for _, s := range signals.All() {
		for p := range s.Params {
			names = append(names, s.Name+"."+p+"=")
		}
	}
	slices.Sort(names)
	return names
}
