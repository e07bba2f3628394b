package server

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
)

// addressServer is a server that runs already and belongs to somebody else. It is dialled and nothing more.
type addressServer struct{ endpoint Endpoint }

// Attach returns a starter that starts nothing: it makes sure that the server at the URL answers a PING. The URL is
// redis://[user:password@]host[:port][/database], or rediss:// for TLS, as go-redis reads it. Of the options after a question
// mark only db and skip_verify are taken; the others would set up a client.
func Attach(rawURL string) Starter {
	return func(ctx context.Context, spec Spec) (Server, error) {
		if spec.Topology.Several() {
			return nil, spec.Topology.refuse("what is at an address is one")
		}
		endpoint, err := parseURL(rawURL)
		if err != nil {
			return nil, err
		}
		connection, err := endpoint.ping(ctx, readyLimit)
		if err != nil {
			return nil, unavailable(ctx, "no answer to PING from the server at %s: %w", endpoint.Addr, err)
		}
		return &addressServer{endpoint}, connection.Close()
	}
}

// ParseURL reads the URL of a server that runs already, as Attach does. Its error wraps ErrUsage.
func ParseURL(raw string) (Endpoint, error) { return parseURL(raw) }

// parseURL never repeats the URL in an error where it may hold a password.
func parseURL(raw string) (Endpoint, error) {
	usage := func(cause error) (Endpoint, error) {
		if strings.Contains(raw, "@") {
			cause = errors.New("it cannot be read (and is not repeated here, since it may hold a password)")
		}
		return Endpoint{}, fmt.Errorf("%w: the URL of a server is redis://[user:password@]host[:port][/database]: %w", ErrUsage, cause)
	}
	parsed, err := url.Parse(raw)
	if err != nil {
		return usage(err)
	}
	for option := range parsed.Query() {
		if option != "db" && option != "skip_verify" {
			return usage(fmt.Errorf("option %q says nothing about a server", option))
		}
	}
	options, err := redis.ParseURL(raw)
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

func (s *addressServer) Endpoint() Endpoint { return s.endpoint }
func (s *addressServer) Info() Info         { return Info{Kind: KindAddress, Addr: s.endpoint.Addr} }

func (s *addressServer) Kill(context.Context) error            { return s.notOurs("kill") }
func (s *addressServer) Pause(context.Context) error           { return s.notOurs("pause") }
func (s *addressServer) Resume(context.Context) error          { return s.notOurs("resume") }
func (s *addressServer) Restart(context.Context, Config) error { return s.notOurs("restart") }

// Stop leaves the server as it is.
func (s *addressServer) Stop(context.Context) error { return nil }

// Log has nothing to return: Redis does not give its log to clients.
func (s *addressServer) Log(context.Context) ([]byte, error) { return nil, nil }

func (s *addressServer) notOurs(verb string) error {
	return fmt.Errorf("the server at %s was %w: lockjam does not %s it", s.endpoint.Addr, ErrNotOurs, verb)
}
