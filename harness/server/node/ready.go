package node

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
	"time"

	"github.com/lockjam/lockjam/harness/resp"
	"github.com/lockjam/lockjam/harness/server"
)

// pollInterval is the time between two dials of a starting server. Without a gate it must be short
// compared with the few milliseconds in which a redialling swarm takes every slot.
const pollInterval = 200 * time.Microsecond

// pingLimit bounds one attempt, from the dial to the answer.
const pingLimit = time.Second

var (
	// ErrNoAnswer reports that nothing answered a PING in time.
	ErrNoAnswer = errors.New("no answer to PING")

	// ErrNoGate reports that the server cannot change its port while it runs.
	ErrNoGate = errors.New("the server cannot change its port")
)

// AwaitPing returns once a PING is answered, or once every slot is taken, which also proves that
// the server is up. With reserve > 0 it returns that many connections, or fewer if the swarm was
// faster; the caller closes them.
//
// It calls alive between the attempts, and returns at once with an error from it.
func AwaitPing(
	ctx context.Context, e server.Endpoint, reserve int, alive func(context.Context) error,
) ([]net.Conn, error) {
	limit := server.ReadyLimit
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %v", ErrNoAnswer, limit))
	defer cancel()
	var kept []net.Conn
	var lastAnswer error // the last answer other than PONG
	for {
		connection, err := e.Connect(ctx, pingLimit)
		if errors.Is(err, server.ErrAnswer) {
			lastAnswer = err
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
		case errors.Is(err, server.ErrRefused):
			return kept, nil
		}
		if dead := alive(ctx); dead != nil {
			CloseAll(kept)
			return nil, dead
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			CloseAll(kept)
			return nil, fmt.Errorf("wait for %s: %w (last attempt: %v)", e.Addr, context.Cause(ctx),
				cmp.Or(lastAnswer, err))
		}
	}
}

// CloseAll closes connections and ignores the errors.
func CloseAll(connections []net.Conn) {
	for _, connection := range connections {
		connection.Close()
	}
}

// Launched is a server that has just been started.
type Launched struct {
	Endpoint server.Endpoint
	Alive    func(context.Context) error        // returns an error once the server has ended
	Poll     func(context.Context) error        // Alive for frequent calls
	Ours     func(info map[string]string) error // returns an error unless INFO server describes this server
}

// Await waits for the first answer as AwaitPing does, and checks that this server gave it.
func (l Launched) Await(ctx context.Context, reserve int) ([]net.Conn, error) {
	connections, err := AwaitPing(ctx, l.Endpoint, reserve, l.Poll)
	if err != nil {
		return nil, err
	}
	if err := l.identify(ctx, connections); err != nil {
		CloseAll(connections)
		return nil, err
	}
	return connections, nil
}

// identify checks that the server that answers is the one that was started: another program's Redis
// may have taken the port just before the start, and must not be mistaken for ours, which may be
// reconfigured and flushed. It asks over the first of the connections, or over a new one if there
// are none. If no slot is left to ask, Alive decides: without its port our own server would have
// ended.
func (l Launched) identify(ctx context.Context, connections []net.Conn) error {
	addr := l.Endpoint.Addr
	if len(connections) == 0 {
		fresh, err := l.Endpoint.Connect(ctx, pingLimit)
		if errors.Is(err, server.ErrRefused) {
			return l.Alive(ctx)
		}
		if err != nil {
			return fmt.Errorf("identify the server at %s: %w", addr, err)
		}
		defer fresh.Close()
		connections = []net.Conn{fresh}
	}
	info, err := infoServer(connections[0])
	if err == nil {
		return l.Ours(info)
	}
	return fmt.Errorf("identify the server at %s: %w", addr, err)
}

// infoServer returns the fields of INFO server.
func infoServer(connection net.Conn) (map[string]string, error) {
	if err := connection.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return nil, err
	}
	if _, err := connection.Write([]byte("*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n")); err != nil {
		return nil, err
	}
	// The answer must be read to its end because the connection stays in use.
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

// OpenGate moves a server from its gate to its port, where the swarm can reach it. The connections
// were made through the gate.
func OpenGate(ctx context.Context, connections []net.Conn, port int) error {
	if len(connections) == 0 {
		return ErrNoGate
	}
	connection := connections[0]
	if err := connection.SetDeadline(time.Now().Add(server.ReadyLimit)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	if err := server.Command(connection, "+OK", "CONFIG", "SET", "port", strconv.Itoa(port)); err != nil {
		return fmt.Errorf("%w: %w", ErrNoGate, err)
	}
	return connection.SetDeadline(time.Time{})
}
