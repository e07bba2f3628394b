package rundir

import (
	"fmt"
	"strings"
)

// ImageLabels names images in folders: by the last part and the tag, where these
// tell them apart, else by the whole. A single one needs no name.
func ImageLabels(images []string) []string {
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
