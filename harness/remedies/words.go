package remedies

import (
	"fmt"
	"strings"
)

// mostListed bounds what one step lists: an incident log of 3,000 keys is read by
// nobody.
const mostListed = 20

// listed joins the words with sep, and says how many it left out.
func listed(words []string, sep string) string {
	if len(words) <= mostListed {
		return strings.Join(words, sep)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:mostListed], sep), len(words)-mostListed)
}

// counted is "1 lock", "2 locks".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// oneLine is for errors that were joined, which have a line for each: a step has
// one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
