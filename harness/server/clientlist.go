package server

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Client is one line of CLIENT LIST. The server counts age and idle time in whole seconds.
type Client struct {
	ID        int64  // a server never uses one twice
	Name      string // as CLIENT SETNAME gave it; "" for none
	Host      string // of addr, without the port
	Flags     string // a letter each; see CLIENT LIST
	Command   string // the last one, or the one that it waits in
	Age, Idle time.Duration
}

// Clients reads the answer to CLIENT LIST, a client for each line that is not blank. A line
// that has no id or flags, or a number that is none, comes with an error and with what could
// be read of it.
func Clients(list string) iter.Seq2[Client, error] {
	return func(yield func(Client, error) bool) {
		for line := range strings.Lines(list) {
			if strings.TrimSpace(line) != "" && !yield(readClient(line)) {
				return
			}
		}
	}
}

func readClient(line string) (c Client, err error) {
	number := func(field, value string) int64 {
		n, bad := strconv.ParseInt(value, 10, 64)
		if bad != nil && err == nil {
			err = fmt.Errorf("read \"%s=%s\" in CLIENT LIST: %w", field, value, bad)
		}
		return n
	}
	for f := range strings.FieldsSeq(line) {
		switch field, value, _ := strings.Cut(f, "="); field {
		case "id":
			c.ID = number(field, value)
		case "name":
			c.Name = value
		case "addr":
			c.Host = value
			if i := strings.LastIndex(value, ":"); i >= 0 {
				c.Host = value[:i]
			}
		case "flags":
			c.Flags = value
		case "cmd":
			c.Command = value
		case "age":
			c.Age = time.Duration(number(field, value)) * time.Second
		case "idle":
			c.Idle = time.Duration(number(field, value)) * time.Second
		}
	}
	if err == nil && (c.ID == 0 || c.Flags == "") {
		err = fmt.Errorf("read CLIENT LIST: no id or no flags in %q", strings.TrimSpace(line))
	}
	return c, err
}

// controlPrefix begins the names of the control connections, and watchPrefix those of `lockjam watch`.
const (
	controlPrefix = "lockjam-control-"
	watchPrefix   = "lockjam-watch"
)

// Control reports whether the client is a control connection of lockjam.
func (c Client) Control() bool { return strings.HasPrefix(c.Name, controlPrefix) }

// Instrument reports whether the client is one of lockjam's own instruments: a control
// connection, or a `lockjam watch` beside the run.
func (c Client) Instrument() bool { return c.Control() || strings.HasPrefix(c.Name, watchPrefix) }
