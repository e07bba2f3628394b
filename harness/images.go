package harness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/server"
)

// imageLabels names images in folders: by the last part and the tag, where these
// tell them apart, else by the whole. A single one needs no name.
func imageLabels(images []string) []string {
	if len(images) < 2 {
		return make([]string, len(images))
	}
	short := func(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }
	whole := func(ref string) string { return ref }
	for _, of := range []func(string) string{short, whole} {
		var labels []string
		taken := map[string]bool{} // some file systems take no notice of case
		for _, ref := range images {
			label := imageLabel(ref, of)
			labels = append(labels, label)
			taken[strings.ToLower(label)] = true
		}
		if len(taken) == len(images) {
			return labels
		}
	}
	var numbered []string
	for i, ref := range images {
		numbered = append(numbered, fmt.Sprintf("%s-%d", imageLabel(ref, short), i+1))
	}
	return numbered
}

// maxLabel bounds a label, in bytes: it is a part of names of folders.
const maxLabel = 80

// imageLabel makes a name that can stand in a path: a digest is cut to twelve
// digits, as Docker does, and what is no plain character is a dash.
func imageLabel(ref string, of func(string) string) string {
	name, digest, _ := strings.Cut(ref, "@")
	_, digest, _ = strings.Cut(digest, ":")
	label := of(name)
	if digest != "" {
		label += "-" + digest[:min(len(digest), 12)]
	}
	label = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		}
		return '-'
	}, label)
	return label[:min(len(label), maxLabel)]
}

// serversOf is what is known of the servers before any of them has run; nil unless
// there are several.
func serversOf(images []string) []ServerEnvironment {
	if len(images) < 2 {
		return nil
	}
	var servers []ServerEnvironment
	for _, image := range images {
		servers = append(servers, ServerEnvironment{ServerInfo: ServerInfo{Kind: server.KindContainer, Image: image}})
	}
	return servers
}

// Enter takes in what a server said of itself. What one arm could not read back stays with the run.
func (e *Environment) Enter(s ServerEnvironment) {
	before := e.Server
	i := slices.IndexFunc(e.Servers, func(known ServerEnvironment) bool { return known.Image == s.Image })
	if i >= 0 {
		before = e.Servers[i]
	}
	s.NotReadBack = slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.NotReadBack, s.NotReadBack))))
	if i >= 0 {
		e.Servers[i] = s
	}
	if i <= 0 {
		e.Server = s
	}
}

// Images are what the arms of a run on several images are told apart by, in the
// order in which they were asked for; nil for a run on one.
func (r *Run) Images() []string {
	var images []string
	add := func(image string) {
		if image != "" && !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	for _, s := range r.Environment.Servers {
		add(s.Image)
	}
	for _, sc := range r.Scenarios {
		for _, a := range sc.Arms {
			add(a.Image)
		}
	}
	return images
}

// On is the part of a run that one image had, with all scenarios in their places.
// What is in it is the run's own, not a copy.
func (r *Run) On(image string) *Run {
	part := *r
	part.Scenarios = nil
	for _, sc := range r.Scenarios {
		part.Scenarios = append(part.Scenarios, sc.On(image))
	}
	return &part
}

// On is the arms that ran on one image.
func (s ScenarioResult) On(image string) ScenarioResult {
	var arms []ArmResult
	for _, a := range s.Arms {
		if a.Image == image {
			arms = append(arms, a)
		}
	}
	s.Arms = arms
	return s
}

// mergeCards makes one scorecard of one per image. Images on which a claim could not
// be tested have no say in its verdict.
func mergeCards(images []string, cards [][]Claim) []Claim {
	merged := slices.Clone(cards[0])
	for i := range merged {
		c := &merged[i]
		c.Verdict, c.Evidence, c.Images = Untested, []Evidence{}, nil
		by := map[string][]string{}
		var verdicts []string // in the order of the images
		why := map[string]string{}
		for k, image := range images {
			one := cards[k][i]
			c.Images = append(c.Images, ClaimOn{image, one.Verdict, one.Because, one.Evidence})
			if c.Instead == "" {
				c.Instead = one.Instead
			}
			if one.Verdict == Untested {
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
func sayOn(c *Claim, verdicts []string, by map[string][]string, why map[string]string) {
	switch len(verdicts) {
	case 0:
		return // as the first image says it
	case 1:
		c.Verdict = verdicts[0]
		c.Because = why[c.Verdict]
		if on := by[c.Verdict]; len(on) < len(c.Images) {
			c.Because += fmt.Sprintf(" Tested on %s alone.", listed(on))
		}
		return
	}
	c.Verdict = Conditional
	var said []string
	for _, v := range verdicts {
		said = append(said, fmt.Sprintf("%s on %s: %s", strings.ToUpper(v[:1])+v[1:], listed(by[v]), why[v]))
	}
	c.Because = strings.Join(said, " ")
}
