package server

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// installWords says how to get a Redis. It ends every message with ErrUnavailable.
const installWords = "Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; Alpine: apk add redis; macOS: brew install redis"

// Ended is the error of a server that ended by itself while it started.
type Ended struct {
	How   string // exit status or signal
	Words string // its reason, from its log, on one line
}

func (e *Ended) Error() string { return fmt.Sprintf("it ended at once (%s): %s", e.How, e.Words) }

// Directive returns the directive of redis.conf that the server names as the one that it does not
// take, and why; "" where it names none (config.c, loadServerConfigFromString).
func (e *Ended) Directive() (name, why string) {
	if quoted := quotedLine.FindStringSubmatch(e.Words); quoted != nil {
		return quoted[1], strings.TrimPrefix(e.Words[strings.Index(e.Words, quoted[0]):], ">>> ")
	}
	return "", ""
}

var quotedLine = regexp.MustCompile(`>>> '([^ ']+)`)

// chatter is what Redis and Valkey log at level warning on every start. None of it says why a server ended.
var chatter = []string{
	"oO0OoO0OoO0Oo", "Configuration loaded", "version=", "Redis is starting", "Valkey is starting", "Server initialized",
	"WARNING", "Warning: no config file specified", "You requested maxclients of", "Server can't set maximum open files to",
	"Current maximum open files is", "Increased maximum number of open files", "monotonic clock:", "Ready to accept connections",
}

// lastWords returns on one line what a server had to say before it ended: its complaint about
// redis.conf, its warnings without those that stand in every log (that memory may not be
// overcommitted, that transparent huge pages are on), or else the last line of its log.
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
		case isWarning(line):
			warnings = append(warnings, words(line))
		}
		last = words(line)
	}
	switch {
	case len(complaint) > 0:
		return strings.Join(complaint, ": ")
	case len(warnings) > 0:
		return strings.Join(warnings[max(0, len(warnings)-2):], "; ")
	}
	return last
}

// isWarning reports whether a line of a log is a warning that is not in every log.
func isWarning(line string) bool {
	_, warning, found := strings.Cut(line, " # ")
	return found && !slices.ContainsFunc(chatter, func(usual string) bool { return strings.Contains(warning, usual) })
}

// words are a line of a log without its process, role and time: "7:M 01 Dec 2026 02:41:31.000 # words".
func words(line string) string {
	for _, level := range []string{" # ", " * ", " - ", " . "} {
		if head, tail, found := strings.Cut(line, level); found && logHead.MatchString(head) {
			return tail
		}
	}
	return line
}

var logHead = regexp.MustCompile(`^\d+:[A-Z] `)

// LoweredLimit returns what a server says in its log of a maxclients that it has lowered; "" where it says nothing.
func LoweredLimit(log []byte) string {
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "maxclients has been reduced") {
			return words(strings.TrimSpace(line))
		}
	}
	return ""
}

// refusalToStop returns the reason that a server gives in its log for living on after SIGTERM; ""
// where it gives none. It goes by finishShutdown in Redis's server.c: the reason ends in "can't
// exit", and the next line says that there are errors.
func refusalToStop(output []byte) string {
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, "can't exit") {
			return strings.TrimSuffix(words(strings.TrimSpace(line)), ".")
		}
	}
	return ""
}
