package server

import "time"

// SetStrayAge changes how old a stray container has to be to be swept, until
// restore is called.
func SetStrayAge(age time.Duration) (restore func()) {
	was := strayAge
	strayAge = age
	return func() { strayAge = was }
}
