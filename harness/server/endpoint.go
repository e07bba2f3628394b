package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness/resp"
)

const (
	// ReadyLimit bounds the time from the start of a server to its first answer.
	ReadyLimit = 10 * time.Second

	// dialLimit bounds one dial, and one connection's handshake.
	dialLimit = 5 * time.Second
)

// ErrRefused is the server's answer when every slot is taken. It proves that the server is up.
var ErrRefused = errors.New("max number of clients reached")

// ErrAnswer reports that the server answered a command, but not as expected.
var ErrAnswer = errors.New("answered with")

// Endpoint is how to dial a server.
type Endpoint struct {
	Addr     string // host:port
	Username string
	Password string
	DB       int
	TLS      *tls.Config // nil: plain TCP

	reserved *reservation // for the next Control; nil: none
}

// LocalEndpoint returns the endpoint of a server on 127.0.0.1 that can reserve connections.
func LocalEndpoint(port int, password string) Endpoint {
	return Endpoint{Addr: Loopback(port), Password: password, reserved: &reservation{}}
}

// Loopback returns the address of a port of 127.0.0.1.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// WithPassword returns the endpoint with another password. Both share the reserved connections.
func (e Endpoint) WithPassword(password string) Endpoint {
	e.Password = password
	return e
}

// reservation holds connections that were made while the server came up, for the next Control.
//
// After a restart in the middle of an incident a hundred workers dial for every slot, so that a
// Control that dials among them gets none. A restarted server therefore listens first at its gate,
// a port that only lockjam knows; lockjam opens the connections for the Control there, and then
// moves the server to its own port with CONFIG SET port. Redis before 7.0 cannot do that: there
// lockjam dials as often as it can, and may be too late.
type reservation struct {
	mu          sync.Mutex
	connections []net.Conn
}

// Reserve keeps the connections for the next Control and closes those that were reserved before.
// The endpoint must come from [LocalEndpoint].
func (e Endpoint) Reserve(connections []net.Conn) {
	r := e.reserved
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, old := range r.connections {
		old.Close()
	}
	r.connections = connections
}

// pop returns a connection, or nil if none is left.
func (r *reservation) pop() net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.connections) == 0 {
		return nil
	}
	connection := r.connections[0]
	r.connections = r.connections[1:]
	return connection
}

// take returns a reserved connection if there is one, else a new one.
func (e Endpoint) take(ctx context.Context) (net.Conn, error) {
	if e.reserved != nil {
		if connection := e.reserved.pop(); connection != nil {
			return connection, nil
		}
	}
	return e.Connect(ctx, dialLimit)
}

// Dial opens one raw connection to the endpoint and sends nothing. The context bounds only the
// dial.
func (e Endpoint) Dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialLimit}
	if e.TLS == nil {
		return dialer.DialContext(ctx, "tcp", e.Addr)
	}
	return (&tls.Dialer{NetDialer: &dialer, Config: e.TLS}).DialContext(ctx, "tcp", e.Addr)
}

// Connect opens a connection, authenticates, and waits for the answer to a PING. The caller closes
// the connection. It returns ErrRefused if the server has no slot left.
func (e Endpoint) Connect(ctx context.Context, limit time.Duration) (net.Conn, error) {
	ctx, cancel := Within(ctx, limit)
	defer cancel()
	connection, err := e.Dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	err = e.handshake(connection)
	if !stop() {
		err = fmt.Errorf("no answer to PING: %w", context.Cause(ctx))
	}
	if err != nil {
		connection.Close()
		return nil, err
	}
	return connection, nil
}

// handshake authenticates and waits for the answer to a PING. It speaks over a raw connection: a
// starting server is asked some hundred times, and a client library would log, retry and redial.
func (e Endpoint) handshake(connection net.Conn) error {
	if e.Password != "" {
		credentials := []string{"AUTH", e.Password}
		if e.Username != "" {
			credentials = []string{"AUTH", e.Username, e.Password}
		}
		if err := Command(connection, "+OK", credentials...); err != nil {
			return err
		}
	}
	if e.DB != 0 {
		if err := Command(connection, "+OK", "SELECT", strconv.Itoa(e.DB)); err != nil {
			return err
		}
	}
	if err := Command(connection, "+PONG", "PING"); !misconfigured(err) {
		return err
	}
	return nil
}

// misconfigured reports whether a server refuses writes because it cannot save. It is up, and
// answers even a PING with that error (server.c, processCommand).
func misconfigured(err error) bool { return err != nil && strings.Contains(err.Error(), "MISCONF ") }

// Command sends a command whose answer is one line. Any answer but want is an ErrAnswer, or
// ErrRefused if the server has no slot left.
func Command(connection net.Conn, want string, arguments ...string) error {
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(arguments))
	for _, argument := range arguments {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(argument), argument)
	}
	// A server that refuses closes at once. Its text can still be read after the write has failed.
	_, writeErr := connection.Write([]byte(request.String()))
	answer, err := resp.Line(connection)
	switch {
	case err != nil:
		return errors.Join(writeErr, err)
	case strings.Contains(answer, "max number of clients"):
		return ErrRefused
	case answer != want:
		return fmt.Errorf("%s was %w %q", arguments[0], ErrAnswer, answer)
	}
	return nil
}

// Redact removes the password from a text: a server that does not know AUTH repeats its arguments.
func (e Endpoint) Redact(text string) string {
	if e.Password == "" {
		return text
	}
	return strings.ReplaceAll(text, e.Password, "***")
}

// RedactError is Redact for an error, which keeps wrapping its causes.
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
