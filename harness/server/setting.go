package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Setting is a requested directive, and the server's different value, or why the value is unknown.
type Setting struct {
	Directive string `json:"directive"`
	Asked     string `json:"asked"`            // the requested value on one line; secrets are not shown
	Has       string `json:"has,omitempty"`    // the server's value, likewise
	Unread    string `json:"unread,omitempty"` // why it is unknown whether the two are the same
}

func (s Setting) String() string {
	if s.Unread != "" {
		return fmt.Sprintf("%s %s (%s)", s.Directive, s.Asked, s.Unread)
	}
	return fmt.Sprintf("%s: requested %s, the server has %s", s.Directive, s.Asked, s.Has)
}

// ReadBack asks a server for its settings over an open connection. It returns those that differ
// from the requested ones, and those that could not be read, each with the reason; the latter are
// no error. Redis may ignore a line of redis.conf without reporting it, or use another value than
// the given one.
func ReadBack(ctx context.Context, c *redis.Client, want Config) (differ, unread []Setting) {
	names := slices.Sorted(maps.Keys(want))
	answers := make([]redis.Cmder, len(names))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error { // each answer holds its own error
		for i, name := range names {
			if answers[i] = p.ConfigGet(ctx, name); name == userDirective {
				answers[i] = p.Do(ctx, "ACL", "LIST")
			}
		}
		return nil
	})
	for i, name := range names {
		s := Setting{Directive: name, Asked: shown(name, strings.Join(want.lines(name), ", "))}
		var same bool
		switch answer := answers[i].(type) {
		case *redis.Cmd:
			same = s.compareUsers(want.lines(name), answer)
		case *redis.MapStringStringCmd:
			same = s.compare(want, answer)
		}
		switch {
		case same:
		case s.Unread != "":
			unread = append(unread, s)
		default:
			differ = append(differ, s)
		}
	}
	return differ, unread
}

// compare reports whether the answer to CONFIG GET is the requested value, and records it
// otherwise.
func (s *Setting) compare(want Config, answer *redis.MapStringStringCmd) bool {
	values, err := answer.Result()
	has, present := values[s.Directive]
	switch {
	case err != nil:
		s.Unread = "CONFIG GET: " + OneLine(err).Error()
		return false
	case !present:
		s.Unread = "not in the answer to CONFIG GET"
		return false
	case equal(s.Directive, want.words(s.Directive), has):
		return true
	}
	if s.Has = shown(s.Directive, has); has == "" {
		s.Has = `""`
	}
	return false
}

// secret lists the directives whose values are not shown.
var secret = []string{"requirepass"}

// shown returns a value without its secrets.
func shown(directive, value string) string {
	switch {
	case slices.Contains(secret, directive) && value != "" && value != `""`:
		return "(hidden)"
	case directive != userDirective:
		return value
	}
	rules := strings.Fields(value)
	for i, rule := range rules {
		if strings.ContainsRune("><#!", rune(rule[0])) {
			rules[i] = rule[:1] + "..."
		}
	}
	return strings.Join(rules, " ")
}

// caseSensitive lists the directives whose values are case-sensitive.
var caseSensitive = []string{"requirepass", "dbfilename", "appendfilename", "appenddirname"}

// equal compares the words of redis.conf with an answer to CONFIG GET, which has sizes in bytes and
// no quotes.
func equal(directive string, asked []string, has string) bool {
	if strings.Join(asked, " ") == has {
		return true
	}
	switch words := strings.Fields(has); directive {
	case "save":
		asked = slices.DeleteFunc(asked, func(w string) bool { return w == "" }) // save "" yields an empty word
		return slices.Equal(sorted(asked, 2), sorted(words, 2))
	case "client-output-buffer-limit":
		return equalLimits(asked, words)
	case "notify-keyspace-events":
		return slices.Equal(eventClasses(strings.Join(asked, "")), eventClasses(has))
	default:
		return slices.EqualFunc(asked, words, func(a, b string) bool {
			return a == b || !slices.Contains(caseSensitive, directive) && sameWord(a, b)
		})
	}
}

// sorted sorts groups of n words, for directives in which the order of groups has no meaning.
func sorted(words []string, n int) []string {
	var groups []string
	for group := range slices.Chunk(words, n) {
		groups = append(groups, strings.Join(group, " "))
	}
	slices.Sort(groups)
	return groups
}

// equalLimits compares limits of output buffers, class by class. A class that was not requested may
// have any limit.
func equalLimits(asked, has []string) bool {
	limits := map[string][]string{}
	class := func(name string) string { return strings.Replace(strings.ToLower(name), "slave", "replica", 1) }
	for group := range slices.Chunk(has, 4) {
		limits[class(group[0])] = group[1:]
	}
	wanted := map[string][]string{} // the last line of a class takes effect
	for group := range slices.Chunk(asked, 4) {
		wanted[class(group[0])] = group[1:]
	}
	for name, limit := range wanted {
		if !slices.EqualFunc(limit, limits[name], sameWord) {
			return false
		}
	}
	return true
}

// eventClasses returns the letters of notify-keyspace-events, with A, which stands for most,
// expanded (notify.c).
func eventClasses(letters string) []rune {
	all := []rune(strings.ReplaceAll(letters, "A", "g$lshzxetd"))
	slices.Sort(all)
	return slices.Compact(all)
}

// sameWord reports whether two words mean the same to Redis: case is ignored, and 2500kb is
// 2560000.
func sameWord(a, b string) bool {
	x, isX := size(a)
	y, isY := size(b)
	return strings.EqualFold(a, b) || isX && isY && x == y
}

// units are the units of memory in redis.conf, in bytes (util.c, memtoull).
var units = map[string]float64{"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30}

// size parses a number with or without a unit.
func size(word string) (bytes float64, ok bool) {
	digits := strings.TrimRight(strings.ToLower(word), "bkmg")
	unit, known := units[strings.ToLower(word[len(digits):])]
	n, err := strconv.ParseFloat(digits, 64)
	return n * unit, known && err == nil && !math.IsNaN(n)
}

// userDirective defines a user of the server by a name and rules.
const userDirective = "user"

// compareUsers reports whether ACL LIST has the requested users, and records the difference
// otherwise.
func (s *Setting) compareUsers(lines []string, answer *redis.Cmd) bool {
	list, err := answer.StringSlice()
	if err != nil {
		s.Unread = "ACL LIST: " + OneLine(err).Error()
		return false
	}
	has := map[string]user{}
	for _, line := range list {
		name, u := readUser(strings.TrimPrefix(line, "user "))
		has[name] = u
	}
	for _, line := range lines {
		name, want := readUser(line)
		found, present := has[name]
		switch {
		case strings.Contains(line, "("):
			s.Unread = "selectors are not compared"
		case !present:
			s.Has, s.Unread = "no user "+name, ""
			return false
		case !maps.Equal(want.access, found.access):
			s.Has, s.Unread = shown(userDirective, name+" "+found.line), ""
			return false
		case !slices.Equal(want.rules(), found.rules()):
			// Servers before 7.0 may describe the same rules differently (acl.c,
			// ACLDescribeUserCommandRules).
			s.Has = shown(userDirective, name+" "+found.line)
			s.Unread = "ACL LIST has " + s.Has + ", which may be the same rules in another form"
		}
	}
	return s.Unread == ""
}

// user is the result of a user's ACL rules.
type user struct {
	line     string          // the rules as they were read
	access   map[string]bool // on, nopass, passwords as #SHA-256, keys
	commands []string        // the effective rules for commands, in their order
}

// rules returns the rules for commands, sorted if their order has no meaning: it matters only among
// categories and subcommands, and a server may return another order.
func (u user) rules() []string {
	overlap := func(rule string) bool { return rule != "+@all" && strings.ContainsAny(rule, "@|") }
	if slices.ContainsFunc(u.commands, overlap) {
		return u.commands
	}
	return slices.Sorted(slices.Values(u.commands))
}

// ruleAliases maps other names of rules to the names in ACL LIST.
var ruleAliases = map[string]string{
	"allkeys": "~*", "allchannels": "&*", "allcommands": "+@all", "nocommands": "-@all", "%rw~*": "~*",
}

// readUser parses a name and its rules, which start from a user without any rights.
func readUser(line string) (name string, u user) {
	name, u.line, _ = strings.Cut(strings.TrimSpace(line), " ")
	u.access = map[string]bool{}
	for _, rule := range strings.Fields(u.line) {
		if lower := strings.ToLower(rule); ruleAliases[lower] != "" {
			rule = ruleAliases[lower]
		}
		u.apply(rule)
	}
	return name, u
}

// apply adds one rule. Rules for channels are ignored: whether a user has access to all by default
// depends on the version.
func (u *user) apply(rule string) {
	drop := func(prefix string) {
		maps.DeleteFunc(u.access, func(known string, _ bool) bool { return strings.HasPrefix(known, prefix) })
	}
	switch first := rule[0]; strings.ToLower(rule) {
	case "on":
		u.access["on"] = true
	case "off":
		drop("on")
	case "nopass":
		drop("#")
		u.access["nopass"] = true
	case "resetpass":
		drop("#")
		drop("nopass")
	case "resetkeys":
		drop("~")
		drop("%")
	case "reset":
		u.access, u.commands = map[string]bool{}, nil
	case "+@all":
		u.commands = []string{"+@all"}
	case "-@all":
		u.commands = nil
	default:
		switch first {
		case '~', '%', '#':
			u.access[rule] = true
		case '>':
			drop("nopass")
			hash := sha256.Sum256([]byte(rule[1:]))
			u.access["#"+hex.EncodeToString(hash[:])] = true
		case '+', '-':
			rule = strings.ToLower(rule)
			u.commands = slices.DeleteFunc(u.commands, func(known string) bool { return known[1:] == rule[1:] })
			u.commands = append(u.commands, rule)
		}
	}
}
