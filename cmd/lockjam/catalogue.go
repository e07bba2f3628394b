package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lockjam/lockjam/harness/scenario"
)

// isFile tells the path of a scenario file from the name of a scenario.
func isFile(arg string) bool {
	extension := filepath.Ext(arg)
	return strings.ContainsAny(arg, `/\`) || extension == ".yaml" || extension == ".yml"
}

// loadScenario finds a scenario by name or reads a file.
func loadScenario(arg string) (*scenario.Scenario, error) {
	if !isFile(arg) {
		return scenario.Embedded(arg)
	}
	sc, err := scenario.Load(arg)
	var problems scenario.Errors
	if err != nil && !errors.As(err, &problems) {
		return nil, &usageError{message: err.Error()}
	}
	return sc, err
}

// loadScenarios goes on after a bad one: all problems of all files at once. Two
// scenarios of one name would write to the same folders.
func loadScenarios(args []string) ([]*scenario.Scenario, error) {
	var (
		loaded []*scenario.Scenario
		errs   []error
		named  = map[string]string{}
	)
	for _, arg := range args {
		sc, err := loadScenario(arg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if other, twice := named[sc.Name]; twice {
			errs = append(errs, &usageError{message: fmt.Sprintf("scenario %s comes twice, from %s and from %s: name it once", sc.Name, other, arg)})
			continue
		}
		named[sc.Name] = arg
		loaded = append(loaded, sc)
	}
	return loaded, errors.Join(errs...)
}
