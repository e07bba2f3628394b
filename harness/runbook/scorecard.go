// Package runbook answers the claims of a runbook from a run: the scorecard.
package runbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/claims"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Scorecard answers every claim of the runbook from the arms of a run whose
// scenarios say that they bear on it. A claim without any is untested. In a run on
// several images each answers for itself, and the card says where they differ.
func Scorecard(r *result.Run) []result.Claim {
	images := r.Images()
	if len(images) == 0 {
		return scorecard(r)
	}
	var cards [][]result.Claim
	for _, image := range images {
		cards = append(cards, scorecard(r.On(image)))
	}
	return mergeCards(images, cards)
}

// scorecard is the one of a single server.
func scorecard(r *result.Run) []result.Claim {
	cards := make([]result.Claim, 0, len(claims.Runbook))
	for _, c := range claims.Runbook {
		var on []result.Scenario
		for _, sc := range r.Scenarios {
			if slices.Contains(sc.Claims, c.ID) {
				on = append(on, sc)
			}
		}
		cards = append(cards, c.Evaluate(on))
	}
	return cards
}

// mergeCards makes one scorecard of one per image. Images on which a claim could not
// be tested have no say in its verdict.
func mergeCards(images []string, cards [][]result.Claim) []result.Claim {
	merged := slices.Clone(cards[0])
	for i := range merged {
		c := &merged[i]
		c.Verdict, c.Evidence, c.Images = result.Untested, []result.Evidence{}, nil
		by := map[string][]string{}
		var verdicts []string // in the order of the images
		why := map[string]string{}
		for k, image := range images {
			one := cards[k][i]
			c.Images = append(c.Images, result.ClaimOn{Image: image, Verdict: one.Verdict, Because: one.Because,
				Evidence: one.Evidence})
			if c.Instead == "" {
				c.Instead = one.Instead
			}
			if one.Verdict == result.Untested {
				continue
			}
			if by[one.Verdict] == nil {
				verdicts = append(verdicts, one.Verdict)
				why[one.Verdict] = one.Because
			}
			by[one.Verdict] = append(by[one.Verdict], image)
		}
		sayOn(c, verdicts, by, why)
	}
	return merged
}

// sayOn words what several images show together. Figures are the first one's of
// those that agree.
func sayOn(c *result.Claim, verdicts []string, by map[string][]string, why map[string]string) {
	switch len(verdicts) {
	case 0:
		return // as the first image says it
	case 1:
		c.Verdict = verdicts[0]
		c.Because = why[c.Verdict]
		if on := by[c.Verdict]; len(on) < len(c.Images) {
			c.Because += fmt.Sprintf(" Tested on %s alone.", text.List(on))
		}
		return
	}
	c.Verdict = result.Conditional
	var said []string
	for _, v := range verdicts {
		said = append(said, fmt.Sprintf("%s on %s: %s", strings.ToUpper(v[:1])+v[1:], text.List(by[v]), why[v]))
	}
	c.Because = strings.Join(said, " ")
}
