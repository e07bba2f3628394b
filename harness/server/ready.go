package server

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockjam/lockjam/harness/resp"
)

// ErrRefused is the server's answer when every slot is taken. It proves that the server is up.
var ErrRefused = errors.New("max number of clients reached")

// reservation holds connections that were made while the server came up, for the next Control.
//
// After a restart in the middle of an incident a hundred workers dial for every slot, and whoever dials among them gets none.
// So a restarted server first listens at its gate, a port that only lockjam knows; the connections for the Control are made
// there; then CONFIG SET port moves it to its own port. Redis before 7.0 cannot do that: there lockjam dials as often as it
// can, and may come too late.
type reservation struct {
	mu          sync.Mutex
	connections []net.Conn
}

// put keeps the connections and closes those of an earlier life.
func (r *reservation) put(connections []net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	closeAll(r.connections)
	r.connections = connections
}

// pop returns a connection, or nil where none is left.
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

// take returns a reserved connection where there is one, else a new one.
func (e Endpoint) take(ctx context.Context) (net.Conn, error) {
	if e.reserved != nil {
		if connection := e.reserved.pop(); connection != nil {
			return connection, nil
		}
	}
	return e.ping(ctx, 5*time.Second)
}

// ping opens a connection and sees a PING answered on it. The caller closes the connection. It returns ErrRefused where the
// server has no slot left.
func (e Endpoint) ping(ctx context.Context, limit time.Duration) (net.Conn, error) {
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

// handshake authenticates and sees a PING answered. It speaks over a raw connection: it is the first thing that a starting
// server hears, some hundred times, and a client library would log, retry and redial.
func (e Endpoint) handshake(connection net.Conn) error {
	if e.Password != "" {
		credentials := []string{"AUTH", e.Password}
		if e.Username != "" {
			credentials = []string{"AUTH", e.Username, e.Password}
		}
		if err := command(connection, "+OK", credentials...); err != nil {
			return err
		}
	}
	if e.DB != 0 {
		if err := command(connection, "+OK", "SELECT", strconv.Itoa(e.DB)); err != nil {
			return err
		}
	}
	if err := command(connection, "+PONG", "PING"); !misconfigured(err) {
		return err
	}
	return nil
}

// misconfigured reports whether a server refuses writes since it cannot save: it is up, and says so to a PING as well
// (server.c, processCommand).
func misconfigured(err error) bool { return err != nil && strings.Contains(err.Error(), "MISCONF ") }

// errAnswer says that the server did answer, and what it answered is not what was wanted.
var errAnswer = errors.New("answered with")

// command sends a command whose answer is one line, and returns an error unless it is the one that is wanted.
func command(connection net.Conn, want string, arguments ...string) error {
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(arguments))
	for _, argument := range arguments {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(argument), argument)
	}
	// A server that refuses closes at once. Its text is still there to be read after the write has failed.
	_, writeErr := connection.Write([]byte(request.String()))
	answer, err := resp.Line(connection)
	switch {
	case err != nil:
		return errors.Join(writeErr, err)
	case strings.Contains(answer, "max number of clients"):
		return ErrRefused
	case answer != want:
		return fmt.Errorf("%s was %w %q", arguments[0], errAnswer, answer)
	}
	return nil
}

// identify asks the server at the endpoint who it is, over the first of the connections or, where there are none, a new one:
// somebody else's may have taken the port in the moment before the start, and it must not be mistaken for ours, which may be
// reconfigured and flushed. ours is told what INFO says of the server. Where no slot is left to ask, alive decides: without
// its port our own server would have ended.
func identify(ctx context.Context, e Endpoint, connections []net.Conn, alive func(context.Context) error, ours func(info map[string]string) error) error {
	if len(connections) == 0 {
		fresh, err := e.ping(ctx, time.Second)
		if errors.Is(err, ErrRefused) {
			return alive(ctx)
		}
		if err != nil {
			return fmt.Errorf("ask %s who it is: %w", e.Addr, err)
		}
		defer fresh.Close()
		connections = []net.Conn{fresh}
	}
	info, err := infoServer(connections[0])
	if err == nil {
		return ours(info)
	}
	return fmt.Errorf("ask %s who it is: %w", e.Addr, err)
}

// infoServer asks for INFO's section on the server itself.
func infoServer(connection net.Conn) (map[string]string, error) {
	if err := connection.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return nil, err
	}
	if _, err := connection.Write([]byte("*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n")); err != nil {
		return nil, err
	}
	// The answer has to be read to its end: the connection is used further.
	answer := bufio.NewReader(resp.Limit(connection))
	header, err := answer.ReadString('\n')
	if err != nil {
		return nil, err
	}
	length, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(header, "$")))
	if err != nil || length < 0 || length > 1<<20 {
		return nil, fmt.Errorf("INFO server was answered with %q", strings.TrimSpace(header))
	}
	body := make([]byte, length+len("\r\n"))
	if _, err := io.ReadFull(answer, body); err != nil {
		return nil, err
	}
	info := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if field, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[field] = value
		}
	}
	return info, connection.SetDeadline(time.Time{})
}

// errNoGate says that the server cannot change its port while it runs.
var errNoGate = errors.New("the server cannot change its port")

// openGate lets everybody in: the server leaves its gate and listens on its port. The connections came through the gate.
func openGate(ctx context.Context, connections []net.Conn, port int) error {
	if len(connections) == 0 {
		return errNoGate
	}
	connection := connections[0]
	if err := connection.SetDeadline(time.Now().Add(readyLimit)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	if err := command(connection, "+OK", "CONFIG", "SET", "port", strconv.Itoa(port)); err != nil {
		return fmt.Errorf("%w: %w", errNoGate, err)
	}
	return connection.SetDeadline(time.Time{})
}

// pollInterval is the time between two dials of a server that comes up. Where there is no gate it has to be short against the
// few milliseconds in which a swarm that redials takes every slot.
const pollInterval = 200 * time.Microsecond

// readyLimit is how long a server may take from its start to its first answer.
const readyLimit = 10 * time.Second

// errNoAnswer says that nobody answered in time.
var errNoAnswer = errors.New("no answer to PING")

// awaitPing returns once a PING is answered, or every slot is taken, which answers the question as well. With reserve > 0 it
// returns that many connections that were answered, or fewer where the swarm was faster; the caller owns them.
//
// alive is asked between the attempts; an error from it ends the wait at once.
func awaitPing(ctx context.Context, e Endpoint, reserve int, alive func(context.Context) error) ([]net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("%w within %v", errNoAnswer, readyLimit))
	defer cancel()
	var kept []net.Conn
	var said error // what was answered last that is no PONG
	for {
		connection, err := e.ping(ctx, time.Second)
		if errors.Is(err, errAnswer) {
			said = err
		}
		switch {
		case err == nil && reserve == 0:
			return nil, connection.Close()
		case err == nil:
			kept = append(kept, connection)
			if len(kept) == reserve {
				return kept, nil
			}
			continue
		case errors.Is(err, ErrRefused):
			return kept, nil
		}
		if dead := alive(ctx); dead != nil {
			closeAll(kept)
			return nil, dead
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			closeAll(kept)
			return nil, fmt.Errorf("wait for %s: %w (last attempt: %v)", e.Addr, context.Cause(ctx), cmp.Or(said, err))
		}
	}
}

// closeAll closes connections that nobody wants any more; what Close says about them is of no interest.
func closeAll(connections []net.Conn) {
	for _, connection := range connections {
		connection.Close()
	}
}
