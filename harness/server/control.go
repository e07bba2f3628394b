package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/lockjam/lockjam/harness/resp"
)

// ControlConnections is the number of the server's slots that a Control takes.
const ControlConnections = 3

// ErrControlLost is the answer of a control client whose connection is lost. The client never
// redials: by then the swarm has the slot that a new connection needs, and every refused attempt
// would count as one of the swarm's.
var ErrControlLost = errors.New("control connection lost")

// Control holds the connections that are opened before the swarm and kept: they work when every
// slot is taken.
//
// A call ends with its context, which also closes its connection: a late answer would be taken for
// the answer to the next call. So the context of a call must allow the server the time that it may
// need; a closed connection answers ErrControlLost. A call on Admin whose context has no deadline
// ends after 30 s. A call on Sampler waits as long as the server takes, because sampling continues
// without it. [Control.Close] ends every wait.
type Control struct {
	Sampler *redis.Client // reads INFO, CLIENT LIST and the like, at short intervals
	Admin   *redis.Client // applies and reverts remedies
	Monitor net.Conn      // authenticated and idle, and raw: a client library cannot read the output of MONITOR

	connections [ControlConnections]net.Conn
}

// MonitorName is the name of the Monitor connection in CLIENT LIST.
const MonitorName = "lockjam-control-monitor"

// OpenControl dials all connections and waits for the answer to a PING on each. Their names in
// CLIENT LIST are lockjam-control-sampler, lockjam-control-admin and lockjam-control-monitor. After
// a Restart of the server, close the old Control and open a new one: the endpoint of the restarted
// server holds connections for it that were made before the swarm could take every slot.
func OpenControl(ctx context.Context, e Endpoint) (*Control, error) {
	ctx, cancel := Within(ctx, openLimit)
	defer cancel()
	c := &Control{}
	open := [ControlConnections]func(net.Conn) error{
		func(connection net.Conn) (err error) {
			c.Sampler, err = openControlClient(ctx, e, "lockjam-control-sampler", connection, 0)
			return err
		},
		func(connection net.Conn) (err error) {
			c.Admin, err = openControlClient(ctx, e, "lockjam-control-admin", connection, answerLimit)
			return err
		},
		func(connection net.Conn) error {
			c.Monitor = connection
			return nameConnection(ctx, MonitorName, connection)
		},
	}
	for i := range open {
		connection, err := e.take(ctx)
		if err == nil {
			c.connections[i] = connection
			err = open[i](connection)
		}
		if err != nil {
			err = fmt.Errorf("open control connection %d of %d to %s: %w", i+1, ControlConnections, e.Addr, err)
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// openLimit bounds the few quick commands with which connections are opened.
const openLimit = 10 * time.Second

// nameConnection names a raw connection in CLIENT LIST. A user without that right gets a connection
// without a name.
func nameConnection(ctx context.Context, name string, connection net.Conn) error {
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	err := Command(connection, "+OK", "CLIENT", "SETNAME", name)
	if !stop() {
		return fmt.Errorf("no answer to CLIENT SETNAME: %w", context.Cause(ctx))
	}
	if errors.Is(err, ErrAnswer) {
		return nil
	}
	return err
}

// openControlClient names and wraps one connection, and closes it after an error. It does not let
// go-redis set the name, because go-redis's handshake fails for a user without that right. A
// command without a deadline ends after the limit; 0: never.
func openControlClient(
	ctx context.Context, e Endpoint, name string, connection net.Conn, limit time.Duration,
) (*redis.Client, error) {
	client := redis.NewClient(controlOptions(e, resp.Limit(connection)))
	client.AddHook(newBounded(connection, limit))
	err := nameConnection(ctx, name, connection)
	if err == nil {
		if err = client.Ping(ctx).Err(); misconfigured(err) {
			err = nil
		}
	}
	if err == nil {
		return client, nil
	}
	return nil, errors.Join(err, client.Close(), ignoreClosed(connection.Close()))
}

// controlOptions sets every option that go-redis would otherwise choose. Two of them matter:
// go-redis must not drop the connection because of a timeout of its own (see bounded), and must
// never open another one (a pipeline has a pool of its own unless PipelinePoolSize is negative).
func controlOptions(e Endpoint, connection net.Conn) *redis.Options {
	return &redis.Options{
		Network:    "tcp",
		Addr:       e.Addr,
		ClientName: "", // see openControlClient
		Dialer:     dialOnce(connection),
		Protocol:   2,
		Username:   e.Username,
		Password:   e.Password,
		DB:         e.DB,

		MaxRetries:         -1,
		MinRetryBackoff:    -1,
		MaxRetryBackoff:    -1,
		DialTimeout:        5 * time.Second, // no effect: the connection is open already
		DialerRetries:      1,               // 0 would mean 5
		DialerRetryTimeout: time.Millisecond,

		ReadTimeout:           -1, // none
		WriteTimeout:          -1,
		ContextTimeoutEnabled: false,
		ReadBufferSize:        32 << 10, // CLIENT LIST of a full server is long
		WriteBufferSize:       4 << 10,

		PoolFIFO:           false,
		PoolSize:           1,
		MaxConcurrentDials: 1,
		MaxActiveConns:     1,
		PoolTimeout:        time.Hour, // for the wait for a turn; the caller's context ends it earlier
		MinIdleConns:       0,
		MaxIdleConns:       1,
		PipelinePoolSize:   -1,

		ConnMaxIdleTime:       -1,
		ConnMaxLifetime:       -1,
		ConnMaxLifetimeJitter: -1,

		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// dialOnce returns a dialer that hands out one connection. Every later dial succeeds with a
// connection that answers ErrControlLost: after a failed dial go-redis would keep dialling in a
// goroutine that Close does not wait for.
func dialOnce(connection net.Conn) func(context.Context, string, string) (net.Conn, error) {
	var taken atomic.Bool
	return func(context.Context, string, string) (net.Conn, error) {
		if taken.CompareAndSwap(false, true) {
			return connection, nil
		}
		return lostConn{connection}, nil
	}
}

// lostConn takes the place of a lost connection, and has its addresses.
type lostConn struct{ lost net.Conn }

func (lostConn) Read([]byte) (int, error)         { return 0, ErrControlLost }
func (lostConn) Write([]byte) (int, error)        { return 0, ErrControlLost }
func (lostConn) Close() error                     { return nil }
func (c lostConn) LocalAddr() net.Addr            { return c.lost.LocalAddr() }
func (c lostConn) RemoteAddr() net.Addr           { return c.lost.RemoteAddr() }
func (lostConn) SetDeadline(time.Time) error      { return nil }
func (lostConn) SetReadDeadline(time.Time) error  { return nil }
func (lostConn) SetWriteDeadline(time.Time) error { return nil }

// Close closes all connections and ends every pending call on them.
func (c *Control) Close() error {
	var errs []error
	for _, connection := range c.connections {
		if connection != nil {
			// Before the clients: a call in flight holds the client's only connection until it
			// ends.
			errs = append(errs, ignoreClosed(connection.Close()))
		}
	}
	for _, client := range []*redis.Client{c.Sampler, c.Admin} {
		if client != nil {
			errs = append(errs, ignoreClosed(client.Close()))
		}
	}
	return errors.Join(errs...)
}

// ignoreClosed ignores that a connection is closed already: both the Control and its clients close
// it.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, redis.ErrClosed) {
		return nil
	}
	return err
}

// MaxClients returns the maxclients that is in force on the server.
func (c *Control) MaxClients(ctx context.Context) (int, error) {
	values, err := c.Admin.ConfigGet(ctx, "maxclients").Result()
	if _, answered := err.(redis.Error); answered {
		// Managed services forbid CONFIG; INFO has maxclients from Redis 6.2 on.
		if limit, ok := c.infoLimit(ctx); ok {
			return limit, nil
		}
	}
	if err != nil {
		return 0, fmt.Errorf("read maxclients of %s: %w", c.Admin.Options().Addr, err)
	}
	limit, err := strconv.Atoi(values["maxclients"])
	if err != nil {
		return 0, fmt.Errorf("read maxclients of %s: the answer %q is not a number",
			c.Admin.Options().Addr, values["maxclients"])
	}
	return limit, nil
}

// infoLimit returns maxclients from INFO, which not every version contains.
func (c *Control) infoLimit(ctx context.Context) (limit int, ok bool) {
	info, err := c.Admin.Info(ctx, "clients").Result()
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(info) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), "maxclients:"); is {
			limit, err = strconv.Atoi(value)
			return limit, err == nil
		}
	}
	return 0, false
}

// reservedDescriptors is the number of file descriptors that Redis needs besides those of its
// clients (server.h, CONFIG_MIN_RESERVED_FDS).
const reservedDescriptors = 32

// VerifyMaxClients returns an error unless maxclients has the wanted value. Redis lowers it
// silently at the start if it may not open enough files, and every conclusion about a full server
// would then be about another limit.
func VerifyMaxClients(ctx context.Context, c *Control, want int) error {
	got, err := c.MaxClients(ctx)
	if err != nil || got == want {
		return err
	}
	addr := c.Admin.Options().Addr
	if got < want {
		return fmt.Errorf("the server at %s runs with maxclients %d instead of %d: "+
			"Redis lowers maxclients if it may open too few files: "+
			"raise the hard limit to %d file descriptors (ulimit -Hn; for a container: --ulimit nofile), "+
			"or lower maxclients",
			addr, got, want, want+reservedDescriptors)
	}
	return fmt.Errorf("the server at %s runs with maxclients %d instead of %d: it was changed after the start",
		addr, got, want)
}

// OpenWatch dials one connection like that of OpenControl's Sampler, for observing only. Its name
// in CLIENT LIST is lockjam-watch. It returns ErrRefused if the server is full.
func OpenWatch(ctx context.Context, e Endpoint) (*redis.Client, net.Conn, error) {
	ctx, cancel := Within(ctx, openLimit)
	defer cancel()
	connection, err := e.Connect(ctx, dialLimit)
	if err != nil {
		return nil, nil, fmt.Errorf("open a connection to %s: %w", e.Addr, e.explain(ctx, err))
	}
	connection = unchecked{connection}
	client, err := openControlClient(ctx, e, "lockjam-watch", connection, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a connection to %s: %w", e.Addr, err)
	}
	return client, connection, nil
}

// unchecked hides the file descriptor of a connection. go-redis checks a connection that has one
// before it uses it, and drops a closed one without reporting why. Through unchecked it reads
// instead, and the error says how the connection was lost.
type unchecked struct{ net.Conn }

// OpenRaw dials one connection, authenticates and names it; the caller closes it. It returns
// ErrRefused if the server is full.
func OpenRaw(ctx context.Context, e Endpoint, name string) (net.Conn, error) {
	ctx, cancel := Within(ctx, openLimit)
	defer cancel()
	connection, err := e.Connect(ctx, dialLimit)
	if err == nil {
		if err = nameConnection(ctx, name, connection); err == nil {
			return connection, nil
		}
		connection.Close()
	}
	return nil, fmt.Errorf("open a connection to %s: %w", e.Addr, err)
}
