package server

import (
	"bytes"
	"strings"
)

// installWords says how to get a Redis. It ends every message with ErrUnavailable.
const installWords = "Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; Alpine: apk add redis; macOS: brew install redis"

// lastWords returns on one line what a server had to say before it ended: its complaint about redis.conf, its warnings, or
// else the last line of its log.
func lastWords(output []byte) string {
	var complaint, warnings []string
	last := "it said nothing"
	inComplaint := false
	for _, line := range strings.Split(string(bytes.TrimSpace(output)), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			continue
		case strings.Contains(line, "FATAL CONFIG FILE ERROR"):
			inComplaint = true
		case inComplaint:
			complaint = append(complaint, line)
		case strings.Contains(line, " # "):
			_, warning, _ := strings.Cut(line, " # ")
			warnings = append(warnings, warning)
		}
		last = line
	}
	switch {
	case len(complaint) > 0:
		return strings.Join(complaint, ": ")
	case len(warnings) > 0:
		return strings.Join(warnings[max(0, len(warnings)-2):], "; ")
	}
	return last
}
