package server

import (
	"io"
	"time"
)

// SetStrayAge changes how old a stray container has to be to be swept, until
// restore is called.
func SetStrayAge(age time.Duration) (restore func()) {
	was := strayAge
	strayAge = age
	return func() { strayAge = was }
}

// PassOn runs what a program printed, piece by piece, through what is between it and w, and says whether there was none.
func PassOn(w io.Writer, pieces ...string) (missing bool) {
	o := &programOutput{w: w}
	for _, piece := range pieces {
		_, _ = io.WriteString(o, piece)
	}
	return o.missing
}
