package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Config is redis.conf: directive to value, as written in the file ("save": `""`, "maxclients":
// "32"). A directive that the file repeats has one value per line.
type Config map[string]string

// With returns a copy of c in which the entries of over replace those of the same name.
func (c Config) With(over Config) Config {
	merged := make(Config, len(c)+len(over))
	maps.Copy(merged, c)
	maps.Copy(merged, over)
	return merged
}

// wordsPerLine is the number of words that a line of these directives may have in Redis before 7.0.
// Those servers ignore a longer line silently, or reject it; newer ones accept several lines as
// well.
var wordsPerLine = map[string]int{"save": 2, "client-output-buffer-limit": 4}

// lines returns the values of a directive, one for each line of redis.conf, in the form that every
// version from 5.0 on understands.
func (c Config) lines(directive string) []string {
	var all []string
	for value := range strings.SplitSeq(c[directive], "\n") {
		words, ok := ConfigWords(value)
		n := wordsPerLine[directive]
		if n == 0 || !ok || len(words) <= n || len(words)%n != 0 {
			all = append(all, value)
			continue
		}
		for line := range slices.Chunk(words, n) {
			all = append(all, strings.Join(line, " "))
		}
	}
	return all
}

// words returns all the words of a directive, without their quotes.
func (c Config) words(directive string) []string {
	var all []string
	for _, line := range c.lines(directive) {
		words, _ := ConfigWords(line)
		all = append(all, words...)
	}
	return all
}

// File returns redis.conf, sorted by directive, so that equal configurations are equal files.
func (c Config) File() []byte {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		for _, line := range c.lines(name) {
			fmt.Fprintf(&b, "%s %s\n", name, line)
		}
	}
	return []byte(b.String())
}

// Password returns the value of requirepass as clients send it.
func (c Config) Password() string { return strings.Join(c.words("requirepass"), " ") }

// ConfigWords splits a line of redis.conf into words as Redis does (sds.c, sdssplitargs). ok is
// false if the quotes do not match; Redis would not start then.
func ConfigWords(line string) (words []string, ok bool) {
	for {
		line = strings.TrimLeft(line, " \t\r\n\v\f")
		if line == "" {
			return words, true
		}
		word, rest, ok := configWord(line)
		if !ok {
			return words, false
		}
		words, line = append(words, word), rest
	}
}

// configWord cuts the first word off a line that does not begin with a blank.
func configWord(line string) (word, rest string, ok bool) {
	var b strings.Builder
	for len(line) > 0 && !blank(line[0]) {
		if line[0] != '"' && line[0] != '\'' {
			b.WriteByte(line[0])
			line = line[1:]
			continue
		}
		part, after, ok := configQuoted(line)
		if !ok || len(after) > 0 && !blank(after[0]) { // a closing quote must be followed by a blank or by nothing
			return "", "", false
		}
		b.WriteString(part)
		line = after
	}
	return b.String(), line, true
}

func blank(c byte) bool { return strings.IndexByte(" \t\r\n\v\f", c) >= 0 }

// escapes are the escapes in double quotes; any other character after a backslash stands for
// itself.
var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'a': '\a'}

// configQuoted parses the quoted text at the beginning of a line.
func configQuoted(line string) (text, rest string, ok bool) {
	var b strings.Builder
	quote := line[0]
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == quote:
			return b.String(), line[i+1:], true
		case c == '\\' && quote == '\'' && strings.HasPrefix(line[i+1:], "'"):
			b.WriteByte('\'')
			i++
		case c == '\\' && quote == '"' && i+1 < len(line):
			if n, err := strconv.ParseUint(hexEscape(line[i+1:]), 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += len("xNN")
				continue
			}
			i++
			if special, is := escapes[line[i]]; is {
				b.WriteByte(special)
				continue
			}
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// hexEscape returns the digits of an escape such as x2f; "" for any other.
func hexEscape(after string) string {
	if len(after) < len("xNN") || after[0] != 'x' {
		return ""
	}
	return after[1:len("xNN")]
}
