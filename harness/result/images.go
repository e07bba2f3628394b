package result

import "slices"

// Enter takes in what a server said of itself. What one arm could not read back stays with the run.
func (e *Environment) Enter(s Server) {
	before := e.Server
	i := slices.IndexFunc(e.Servers, func(known Server) bool { return known.Image == s.Image })
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
func (s Scenario) On(image string) Scenario {
	var arms []Arm
	for _, a := range s.Arms {
		if a.Image == image {
			arms = append(arms, a)
		}
	}
	s.Arms = arms
	return s
}
