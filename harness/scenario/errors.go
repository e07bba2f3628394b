package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockjam/lockjam/harness/text"
)

// ErrUnknown says that no embedded scenario has the name that was asked for.
var ErrUnknown = errors.New("unknown scenario")

// Error is one problem of a scenario file and where it is. Line and Column
// count from 1, columns in characters.
type Error struct {
	Path         string
	Line, Column int
	Message      string
}

// Error is one line, in the form that editors and CI logs turn into a link.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Message)
}

// Errors is every problem of one scenario file, sorted by position.
type Errors []*Error

// errorLines is how many problems Errors spells out: enough to work on, few
// enough to leave the first ones on the screen.
const errorLines = 10

// Error is a line per problem, the first ten of them.
func (e Errors) Error() string {
	var b strings.Builder
	for i, problem := range e {
		if i == errorLines {
			fmt.Fprintf(&b, "\nand %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(problem.Error())
	}
	return b.String()
}

// Problem is what is wrong with a key of the scenario and shows only when it is run: at
// the place where the arm sets it, if the arm does, and else the scenario. Its error is
// [Errors].
func (s *Scenario) Problem(arm, key, message string) error {
	if own := s.ArmKey(arm) + "." + key; s.has(own) {
		key = own
	}
	line, column := s.Place(key)
	return Errors{{Path: s.Path, Line: line, Column: column, Message: key + ": " + message}}
}

func (s *Scenario) has(key string) bool {
	_, ok := s.places[key]
	return ok
}

// Unwrap gives errors.As the single problems.
func (e Errors) Unwrap() []error {
	problems := make([]error, len(e))
	for i, problem := range e {
		problems[i] = problem
	}
	return problems
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
}

// quote shows what a file says, on one line and never at length.
func quote(s string) string {
	const most = 64
	if r := []rune(s[:min(len(s), 4*most)]); len(r) > most {
		return fmt.Sprintf("%q...", string(r[:most]))
	}
	return fmt.Sprintf("%q", s)
}

// hint is the end of a message about a word that is none of the known ones.
func hint(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "there are none"
	}
	return "known: " + text.FirstOf(known, ", ", listedWords)
}

// listedWords is how many words of a list a message spells out.
const listedWords = 30

// nearest finds the known word that a typo most probably stands for: about
// one edit in three letters at most, where swapped letters are two. "" means that no word is so close.
func nearest(word string, known []string) string {
	if len(word) > 64 { // longer than any name, and the comparison is quadratic
		return ""
	}
	best, least := "", (len(word)+1)/3+1
	for _, k := range known {
		if d := edits(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
