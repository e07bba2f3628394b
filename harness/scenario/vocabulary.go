package scenario

import (
	"github.com/lockjam/lockjam/harness/claims"
	"github.com/lockjam/lockjam/harness/remedies"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/signals"
)

// vocabulary is the names that a scenario may use, and what follows from them.
type vocabulary struct {
	signals     map[string][]string // signal name -> names of its parameters
	remedies    map[string][]string // remedy name -> names of its parameters
	verdicts    []string            // of remedies
	preventions []string            // verdicts on preventions
	kinds       []string            // of standstills that can be proved
	claims      []string            // ids of the runbook's claims
	restarting  []string            // remedies that restart the server
	recorded    bool                // the scenario has been run: it may have directives that none may have any more

	// checkParam returns an error if the value of a remedy's parameter is wrong; may be nil.
	checkParam func(remedy, param, value string) error
}

// catalogue is the vocabulary of lockjam's own catalogues.
func catalogue() vocabulary {
	v := vocabulary{
		signals: map[string][]string{}, remedies: map[string][]string{},
		claims: claims.IDs(), checkParam: checkParam,
	}
	for _, k := range KindWords {
		v.kinds = append(v.kinds, k.Text)
	}
	for _, s := range signals.All() {
		v.signals[s.Name] = nil
		for p := range s.Params {
			v.signals[s.Name] = append(v.signals[s.Name], p)
		}
	}
	for _, r := range remedies.All() {
		v.remedies[r.Name] = nil
		if r.Restarts {
			v.restarting = append(v.restarting, r.Name)
		}
		for _, p := range r.Params {
			v.remedies[r.Name] = append(v.remedies[r.Name], p.Name)
		}
	}
	for _, name := range result.Verdicts {
		v.verdicts = append(v.verdicts, string(name))
	}
	for _, name := range result.PreventionVerdicts {
		v.preventions = append(v.preventions, string(name))
	}
	return v
}

func checkParam(remedy, param, value string) error {
	r, _ := remedies.Find(remedy)
	for _, p := range r.Params {
		if p.Name == param && p.Check != nil {
			return p.Check(value)
		}
	}
	return nil
}
