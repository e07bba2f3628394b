package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// moreTwins are second choices. docker-compose.yml and scripts/setup.sh read
// LOCKJAM_REDIS_IMAGE, and a user who has set it for these means lockjam too.
var moreTwins = map[string][]string{
	"image": {"LOCKJAM_REDIS_IMAGE"},
}

// twins are the environment variables that stand in for a flag, first choice first.
func twins(flag string) []string {
	first := "LOCKJAM_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
	return append([]string{first}, moreTwins[flag]...)
}

// hasTwin is false for --help, which cobra adds to every command.
func hasTwin(f *pflag.Flag) bool { return f.Name != "help" }

// nameTwins adds the names of the twins to what --help says of each flag.
func nameTwins(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if hasTwin(f) {
			f.Usage += fmt.Sprintf(" [%s]", strings.Join(twins(f.Name), ", "))
		}
	})
}

// fromEnvironment annotates a flag with the variable that its value came from.
const fromEnvironment = "lockjam_from_environment"

// applyEnvironment sets the flags that the command line did not.
func applyEnvironment(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || !hasTwin(f) {
			return
		}
		for _, variable := range twins(f.Name) {
			// docker-compose and CI files pass on variables that are not set as
			// empty ones.
			value, set := lookup(variable)
			if !set || value == "" {
				continue
			}
			if err := f.Value.Set(value); err != nil {
				errs = append(errs, badUsage(cmd, "%s (environment): %s", variable, wanted(f, value)))
				return
			}
			if f.Annotations == nil {
				f.Annotations = map[string][]string{}
			}
			f.Annotations[fromEnvironment] = []string{variable}
			return
		}
	})
	return errors.Join(errs...)
}

// given reports whether a flag has a value of the user's.
func given(cmd *cobra.Command, flag string) bool {
	f := cmd.Flags().Lookup(flag)
	return f.Changed || len(f.Annotations[fromEnvironment]) > 0
}

// origin is what messages call a flag: the variable, if the value came from there.
func origin(cmd *cobra.Command, flag string) string {
	if from := cmd.Flags().Lookup(flag).Annotations[fromEnvironment]; len(from) > 0 {
		return from[0] + " (environment)"
	}
	return "--" + flag
}

// wanted says what a value should have been.
func wanted(f *pflag.Flag, value string) string {
	kind := map[string]string{"bool": "true or false", "int": "a whole number", "uint64": "a whole number from 0 up",
		"duration": "a time with its unit, such as 30s"}[f.Value.Type()]
	if kind == "" {
		kind = "a value that can be used"
	}
	if _, err := strconv.ParseFloat(value, 64); err == nil && strings.Trim(value, "+-0123456789") == "" &&
		f.Value.Type() != "bool" && f.Value.Type() != "duration" {
		return fmt.Sprintf("%s is out of range", value)
	}
	return fmt.Sprintf("%q is not %s", value, kind)
}

// flagProblem words pflag's errors as the ones of the environment are.
func flagProblem(err error) string {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return fmt.Sprintf("--%s: %s", invalid.GetFlag().Name, wanted(invalid.GetFlag(), invalid.GetValue()))
	}
	return err.Error()
}
