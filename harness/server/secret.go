package server

import "strings"

// Redact takes the password out of a text from outside: a server that does not know AUTH
// repeats its arguments.
func (e Endpoint) Redact(text string) string {
	if e.Password == "" {
		return text
	}
	return strings.ReplaceAll(text, e.Password, "***")
}

// RedactError is Redact for an error, which still wraps what it wraps.
func (e Endpoint) RedactError(err error) error {
	if err == nil || e.Redact(err.Error()) == err.Error() {
		return err
	}
	return redacted{err, e.Redact(err.Error())}
}

type redacted struct {
	error
	text string
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.error }
