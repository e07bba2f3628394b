package result

import (
	"fmt"
	"strings"

	"github.com/lockjam/lockjam/harness/text"
)

// ErrorReply is how often Redis answered the workers with an error of one prefix, over
// the whole arm.
type ErrorReply struct {
	Prefix string `json:"prefix"` // its first word, such as OOM; "other" for texts without one
	Count  int64  `json:"count"`
	First  string `json:"first"` // the text of the first, without control characters and arguments
	Last   string `json:"last"`
}

// Answered says how often Redis answered the workers with which error, in a clause such
// as "Redis answered 21,654 commands with OOM"; "" where it never did.
func (a Arm) Answered() string { return Answered(a.ErrorReplies, 0) }

// Answered is Answered, of so many commands in all; 0 where that is not known.
func Answered(replies []ErrorReply, of int64) string {
	var total int64
	var each []string
	for _, r := range replies {
		total += r.Count
		quoted := ""
		if r.First != "" {
			quoted = fmt.Sprintf(" (%q)", r.First)
		}
		each = append(each, r.Prefix+" "+text.Grouped(r.Count)+quoted)
	}
	switch len(replies) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("Redis answered %s with %s", Share(total, of),
			strings.Replace(each[0], " "+text.Grouped(total), "", 1))
	}
	return fmt.Sprintf("Redis answered %s with an error: %s", Share(total, of), strings.Join(each, ", "))
}

// Share is a number of commands, of all where their number is known.
func Share(n, of int64) string {
	words := "commands"
	if of == 1 || of == 0 && n == 1 {
		words = "command"
	}
	if of == 0 {
		return text.Grouped(n) + " " + words
	}
	return text.Grouped(n) + " of " + text.Grouped(of) + " " + words
}
