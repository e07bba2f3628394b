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

// Setting is a directive that was asked for, and what the server has instead, or why that is not known.
type Setting struct {
	Directive string `json:"directive"`
	Asked     string `json:"asked"`            // on one line; secrets are not shown
	Has       string `json:"has,omitempty"`    // the same of the server
	Unread    string `json:"unread,omitempty"` // why it is not known whether the two are the same
}

func (s Setting) String() string {
	if s.Unread != "" {
		return fmt.Sprintf("%s %s (%s)", s.Directive, s.Asked, s.Unread)
	}
	return fmt.Sprintf("%s: %s was asked for, and the server has %s", s.Directive, s.Asked, s.Has)
}

// ReadBack asks a server for its settings, over a connection that is open, and returns those that are not as they
// were asked for, and those of which that is not known. Redis may pass over a line of redis.conf without a complaint,
// or take another value than it was given. What the server does not answer is no error: it is in unread, with the
// reason.
func ReadBack(ctx context.Context, c *redis.Client, want Config) (differ, unread []Setting) {
	names := slices.Sorted(maps.Keys(want))
	answers := make([]redis.Cmder, len(names))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error { // each answer has its own error
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

// compare reports whether the answer to CONFIG GET is what was asked for, and notes it where it is not.
func (s *Setting) compare(want Config, answer *redis.MapStringStringCmd) bool {
	values, err := answer.Result()
	has, there := values[s.Directive]
	switch {
	case err != nil:
		s.Unread = "CONFIG GET: " + oneLine(err).Error()
		return false
	case !there:
		s.Unread = "CONFIG GET answers nothing for it"
		return false
	case equal(s.Directive, want.words(s.Directive), has):
		return true
	}
	if s.Has = shown(s.Directive, has); has == "" {
		s.Has = `""`
	}
	return false
}

// secret are the directives whose values are not shown.
var secret = []string{"requirepass"}

func shown(directive, value string) string {
	switch {
	case slices.Contains(secret, directive) && value != "" && value != `""`:
		return "a password that is not shown here"
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

// verbatim are the directives in whose values upper and lower case differ.
var verbatim = []string{"requirepass", "dbfilename", "appendfilename", "appenddirname"}

// equal compares the words of redis.conf with an answer to CONFIG GET, which writes sizes in bytes and has no quotes.
func equal(directive string, asked []string, has string) bool {
	if strings.Join(asked, " ") == has {
		return true
	}
	switch words := strings.Fields(has); directive {
	case "save":
		asked = slices.DeleteFunc(asked, func(w string) bool { return w == "" }) // of save "", before which there is nothing
		return slices.Equal(sorted(asked, 2), sorted(words, 2))
	case "client-output-buffer-limit":
		return withinClasses(asked, words)
	case "notify-keyspace-events":
		return slices.Equal(eventClasses(strings.Join(asked, "")), eventClasses(has))
	default:
		return slices.EqualFunc(asked, words, func(a, b string) bool {
			return a == b || !slices.Contains(verbatim, directive) && sameWord(a, b)
		})
	}
}

// sorted puts groups of n words in an order of their own: that in which they are written means nothing.
func sorted(words []string, n int) []string {
	var groups []string
	for group := range slices.Chunk(words, n) {
		groups = append(groups, strings.Join(group, " "))
	}
	slices.Sort(groups)
	return groups
}

// withinClasses compares limits of output buffers, class by class; of a class that was not asked for any limit will do.
func withinClasses(asked, has []string) bool {
	limits := map[string][]string{}
	class := func(name string) string { return strings.Replace(strings.ToLower(name), "slave", "replica", 1) }
	for group := range slices.Chunk(has, 4) {
		limits[class(group[0])] = group[1:]
	}
	wanted := map[string][]string{} // the last line of a class is in force
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

// eventClasses are the letters of notify-keyspace-events, of which A stands for most (notify.c).
func eventClasses(letters string) []rune {
	all := []rune(strings.ReplaceAll(letters, "A", "g$lshzxetd"))
	slices.Sort(all)
	return slices.Compact(all)
}

// sameWord reports whether two words mean the same to Redis: case does not matter, and 2500kb is 2560000.
func sameWord(a, b string) bool {
	x, isX := size(a)
	y, isY := size(b)
	return strings.EqualFold(a, b) || isX && isY && x == y
}

// units are those of memory in redis.conf, in bytes (util.c, memtoull).
var units = map[string]float64{"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30}

// size reads a number with or without a unit.
func size(word string) (bytes float64, ok bool) {
	digits := strings.TrimRight(strings.ToLower(word), "bkmg")
	unit, known := units[strings.ToLower(word[len(digits):])]
	n, err := strconv.ParseFloat(digits, 64)
	return n * unit, known && err == nil && !math.IsNaN(n)
}

// userDirective has a user of the server's and the rules for it.
const userDirective = "user"

// compareUsers reports whether ACL LIST has the users that were asked for.
func (s *Setting) compareUsers(lines []string, answer *redis.Cmd) bool {
	list, err := answer.StringSlice()
	if err != nil {
		s.Unread = "ACL LIST: " + oneLine(err).Error()
		return false
	}
	has := map[string]user{}
	for _, line := range list {
		name, u := readUser(strings.TrimPrefix(line, "user "))
		has[name] = u
	}
	for _, line := range lines {
		name, want := readUser(line)
		found, there := has[name]
		switch {
		case strings.Contains(line, "("):
			s.Unread = "selectors are not compared"
		case !there:
			s.Has, s.Unread = "no user "+name, ""
			return false
		case !maps.Equal(want.access, found.access):
			s.Has, s.Unread = shown(userDirective, name+" "+found.line), ""
			return false
		case !slices.Equal(want.rules(), found.rules()):
			// Servers before 7.0 describe the same rules in words of their own (acl.c, ACLDescribeUserCommandRules).
			s.Has = shown(userDirective, name+" "+found.line)
			s.Unread = "ACL LIST has " + s.Has + ": the same in other words, or not"
		}
	}
	return s.Unread == ""
}

// user is what the rules of an ACL come to.
type user struct {
	line     string          // the rules as they were read
	access   map[string]bool // on, nopass, passwords as #SHA-256, keys
	commands []string        // the rules for commands that are in force, in their order
}

// rules are those for commands. Their order matters only among categories and subcommands, and a
// server may have another.
func (u user) rules() []string {
	overlap := func(rule string) bool { return rule != "+@all" && strings.ContainsAny(rule, "@|") }
	if slices.ContainsFunc(u.commands, overlap) {
		return u.commands
	}
	return slices.Sorted(slices.Values(u.commands))
}

// ruleNames are other names of rules.
var ruleNames = map[string]string{
	"allkeys": "~*", "allchannels": "&*", "allcommands": "+@all", "nocommands": "-@all", "%rw~*": "~*",
}

// readUser reads a name and its rules, which add to a user that may do nothing.
func readUser(line string) (name string, u user) {
	name, u.line, _ = strings.Cut(strings.TrimSpace(line), " ")
	u.access = map[string]bool{}
	for _, rule := range strings.Fields(u.line) {
		if lower := strings.ToLower(rule); ruleNames[lower] != "" {
			rule = ruleNames[lower]
		}
		u.apply(rule)
	}
	return name, u
}

// apply adds one rule. Channels are passed over, which a user has or has not by default, depending on the version.
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
