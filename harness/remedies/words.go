package remedies

import "strings"

// mostListed bounds what one step lists: an incident log of 3,000 keys is not
// read.
const mostListed = 20

// oneLine is for errors that were joined, which have a line for each: a step has
// one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
