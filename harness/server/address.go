package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// addressServer is a server that runs already and is not lockjam's. It is only dialled.
type addressServer struct{ endpoint Endpoint }

// Attach returns a starter that starts nothing: it checks that the server at the URL answers a
// PING. The URL is redis://[user:password@]host[:port][/database], or rediss:// for TLS, as
// go-redis reads it. Of the options after a question mark only db and skip_verify are accepted; the
// others configure a client.
func Attach(rawURL string) Starter {
	return func(ctx context.Context, spec Spec) (Server, error) {
		if spec.Topology.Several() {
			return nil, spec.Topology.Refuse("an address is a single server")
		}
		endpoint, err := ParseURL(rawURL)
		if err != nil {
			return nil, err
		}
		connection, err := endpoint.Connect(ctx, ReadyLimit)
		if err != nil {
			err = endpoint.explain(ctx, err)
			return nil, Unavailable(ctx, "no answer to PING from the server at %s: %w", endpoint.Addr, err)
		}
		return &addressServer{endpoint}, connection.Close()
	}
}

// ParseURL reads the URL of a server that runs already; see Attach. Its error wraps ErrUsage, and
// does not repeat a URL that may contain a password.
func ParseURL(raw string) (Endpoint, error) {
	secret := strings.Contains(raw, "@")
	usage := func(cause error) (Endpoint, error) {
		if secret && !errors.Is(cause, errScheme) {
			cause = errEncoding
		}
		return Endpoint{}, fmt.Errorf("%w: the URL of a server is redis://[user:password@]host[:port][/database]: %w",
			ErrUsage, cause)
	}
	if err := checkScheme(raw); err != nil {
		return usage(err)
	}
	parsed, err := url.Parse(raw)
	if secret && (err != nil || strings.Contains(parsed.Path+parsed.RawQuery+parsed.Fragment, "@")) {
		return usage(errEncoding)
	}
	if err != nil {
		return usage(err)
	}
	for option := range parsed.Query() {
		if option != "db" && option != "skip_verify" {
			return usage(fmt.Errorf("unknown option %q (available: db, skip_verify)", option))
		}
	}
	options, err := redis.ParseURL(raw)
	if err == nil {
		err = checkOptions(options)
	}
	if err != nil {
		return usage(err)
	}
	return Endpoint{
		Addr:     options.Addr,
		Username: options.Username,
		Password: options.Password,
		DB:       options.DB,
		TLS:      options.TLSConfig,
	}, nil
}

// errScheme reports a scheme other than redis:// or rediss://. The message says what to write
// instead.
var errScheme = errors.New("unknown scheme")

// errEncoding reports a URL that cannot be read and may contain a password. It does not repeat the
// URL.
var errEncoding = errors.New("it cannot be parsed (and is not repeated here because it may contain a password): " +
	"percent-encode special characters in user and password: @ is %40, / is %2F, : is %3A, # is %23, ? is %3F, % is %25")

// checkScheme returns an errScheme unless the scheme is redis:// or rediss://. Of a URL that may
// contain a password it repeats only the scheme.
func checkScheme(raw string) error {
	scheme, _, found := strings.Cut(raw, "://")
	switch lower := strings.ToLower(scheme); {
	case !found && strings.HasPrefix(raw, "/"),
		slices.Contains([]string{"unix", "redis+unix", "redis-socket", "redis+socket"}, lower):
		return fmt.Errorf("%w: lockjam does not support Unix sockets: "+
			"let the server listen on a port, and use redis://HOST:PORT", errScheme)
	case !found && !strings.Contains(raw, "@"):
		return fmt.Errorf("%w of %.100q: use redis://HOST:PORT, or rediss://HOST:PORT for TLS", errScheme, raw)
	case !found:
		return fmt.Errorf("%w: use redis://HOST:PORT, or rediss://HOST:PORT for TLS", errScheme)
	case lower == "redis", lower == "rediss":
		return nil
	case slices.Contains([]string{"valkeys", "https", "tls", "ssl", "redis+ssl", "redis+tls", "redis-ssl"}, lower):
		return fmt.Errorf("%w %.40q: use rediss:// for TLS", errScheme, scheme)
	}
	return fmt.Errorf("%w %.40q: use redis://, or rediss:// for TLS", errScheme, scheme)
}

// checkOptions rejects options that go-redis accepts although no server has them.
func checkOptions(o *redis.Options) error {
	if o.DB < 0 {
		return fmt.Errorf("invalid database number %d", o.DB)
	}
	_, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("invalid port %s", port)
	}
	return nil
}

func (s *addressServer) Endpoint() Endpoint { return s.endpoint }
func (s *addressServer) Info() Info         { return Info{Kind: KindAddress, Addr: s.endpoint.Addr} }

func (s *addressServer) Kill(context.Context) error            { return s.notOurs("kill") }
func (s *addressServer) Pause(context.Context) error           { return s.notOurs("pause") }
func (s *addressServer) Resume(context.Context) error          { return s.notOurs("resume") }
func (s *addressServer) Restart(context.Context, Config) error { return s.notOurs("restart") }

// Stop leaves the server as it is.
func (s *addressServer) Stop(context.Context) error { return nil }

// Log returns nothing: Redis does not give its log to clients.
func (s *addressServer) Log(context.Context) ([]byte, error) { return nil, nil }

func (s *addressServer) notOurs(verb string) error {
	return fmt.Errorf("the server at %s was %w: lockjam does not %s it", s.endpoint.Addr, ErrNotOurs, verb)
}
