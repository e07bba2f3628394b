package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/scenario"
	"github.com/lockjam/lockjam/harness/text"
	"github.com/lockjam/lockjam/scenarios"
)

const newHelp = `Start a scenario of your own: writes NAME.yaml, a small scenario with a comment on
each of its parts, which can be run as it is. A file that is there is never
overwritten.

With --from it is a copy of another scenario, comments and all, under the new
name.

The first line tells editors where the JSON Schema of scenario files is: in
` + scenarios.SchemaFile + ` beside the file, if that is there ("lockjam show --schema" prints
it), else at its address on the web.`

func newNew() *cobra.Command {
	var from, output string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Start a scenario of your own",
		Long:  newHelp,
		Example: `  lockjam new two-phase-commit
  lockjam new mine --from slot-lock-deadlock --output scenarios/mine.yaml`,
		Args:              exactly(1, "NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command,
			args []string) error {
			return startScenario(cmd, args[0], from, output)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "copy the scenario with this `NAME`, or this file")
	cmd.Flags().StringVar(&output, "output", "", "`FILE` to write; default NAME.yaml, and - is stdout")
	_ = cmd.RegisterFlagCompletionFunc("from", completeScenarios)
	return cmd
}

func startScenario(cmd *cobra.Command, name, from, output string) error {
	if err := scenario.CheckName(name); err != nil {
		return badUsage(cmd, "%v", err)
	}
	// run would take the name for the catalogue's, and not for the new file.
	if slices.Contains(scenarios.Names, name) {
		return badUsage(cmd, "the catalogue has a scenario called %s: choose another name", name)
	}
	if output == "" {
		output = name + ".yaml"
	}
	source, err := startingText(name, from, filepath.Dir(output))
	if err != nil {
		return err
	}
	if output == "-" {
		return put(cmd.OutOrStdout(), source)
	}
	if err := writeNew(output, source); err != nil {
		return err
	}
	return put(cmd.OutOrStdout(), []byte(text.Printable(nextSteps(output))))
}

// startingText is what the new file in a folder says.
func startingText(name, from, folder string) ([]byte, error) {
	sc, err := scenario.Start()
	if from != "" {
		sc, err = loadScenario(from)
	}
	if err != nil {
		return nil, err
	}
	schema := scenarios.SchemaURL
	if info, err := os.Stat(filepath.Join(folder, scenarios.SchemaFile)); err == nil && info.Mode().IsRegular() {
		schema = "./" + scenarios.SchemaFile
	}
	text, err := sc.Copy(name, schema)
	if err != nil {
		return nil, &usageError{message: err.Error()}
	}
	return text, nil
}

// writeNew writes a file that is not there yet, whole or not at all.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return &usageError{message: path + " is there already, and is not overwritten"}
	}
	if err != nil {
		return unwritable("cannot write the scenario", err, "")
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return unwritable("cannot write the scenario", errors.Join(err, os.Remove(path)), "")
	}
	return nil
}

func nextSteps(path string) string {
	arg := path
	if !isFile(arg) { // or it would be taken for a name of the catalogue
		arg = "./" + arg
	}
	return fmt.Sprintf(`wrote %s. Next:
  lockjam check %[2]s               while you edit it
  lockjam run %[2]s --repeat 3      to see what it does
  lockjam show %[2]s                to read it as a page
`, path, arg)
}
