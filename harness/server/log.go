package server

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// InstallAdvice says how to install a Redis. It ends every message with ErrUnavailable.
const InstallAdvice = "Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; " +
	"Alpine: apk add redis; macOS: brew install redis"

// Ended is the error of a server that ended by itself during its start.
type Ended struct {
	How   string // exit status or signal
	Words string // its reason, from its log, on one line
}

func (e *Ended) Error() string {
	return fmt.Sprintf("the server ended during its start (%s): %s", e.How, e.Words)
}

// Directive returns the directive of redis.conf that the server rejects, and the reason; "" if it
// names none (config.c, loadServerConfigFromString).
func (e *Ended) Directive() (name, why string) {
	if quoted := quotedLine.FindStringSubmatch(e.Words); quoted != nil {
		return quoted[1], strings.TrimPrefix(e.Words[strings.Index(e.Words, quoted[0]):], ">>> ")
	}
	return "", ""
}

var quotedLine = regexp.MustCompile(`>>> '([^ ']+)`)

// routine lists texts that Redis and Valkey log at level warning on every start. None of them says
// why a server ended.
var routine = []string{
	"oO0OoO0OoO0Oo", "Configuration loaded", "version=", "Redis is starting", "Valkey is starting",
	"Server initialized", "WARNING", "Warning: no config file specified", "You requested maxclients of",
	"Server can't set maximum open files to", "Current maximum open files is",
	"Increased maximum number of open files", "monotonic clock:", "Ready to accept connections",
}

// LastWords returns, on one line, the reason that a server logged before it ended: its error about
// redis.conf, its warnings without those that are in every log (memory overcommit, transparent huge
// pages), or else the last line of its log.
func LastWords(output []byte) string {
	var complaint, warnings []string
	last := "no output"
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
			warnings = append(warnings, message(line))
		}
		last = message(line)
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
	return found && !slices.ContainsFunc(routine, func(usual string) bool { return strings.Contains(warning, usual) })
}

// message returns a line of a log without its process, role and time: "7:M 01 Dec 2026 02:41:31.000
// # message".
func message(line string) string {
	for _, level := range []string{" # ", " * ", " - ", " . "} {
		if head, tail, found := strings.Cut(line, level); found && logHead.MatchString(head) {
			return tail
		}
	}
	return line
}

var logHead = regexp.MustCompile(`^\d+:[A-Z] `)

// LoweredLimit returns the message in a server's log about a maxclients that it has lowered; "" if
// there is none.
func LoweredLimit(log []byte) string {
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "maxclients has been reduced") {
			return message(strings.TrimSpace(line))
		}
	}
	return ""
}

// RefusalToStop returns the reason in a server's log for not ending after SIGTERM; "" if there is
// none. The reason ends in "can't exit", and the next line reports errors (server.c,
// finishShutdown).
func RefusalToStop(output []byte) string {
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, "can't exit") {
			return strings.TrimSuffix(message(strings.TrimSpace(line)), ".")
		}
	}
	return ""
}
