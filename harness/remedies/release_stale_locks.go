package remedies

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/lockjam/lockjam/harness/resp"
	"github.com/lockjam/lockjam/harness/server"
	"github.com/lockjam/lockjam/harness/text"
)

// releaseStaleLocks is the runbook's option 1:
//
//	redis-cli --scan --pattern "lock:*" | xargs redis-cli del
//
// It deletes the locks of the living with those of the dead.
var releaseStaleLocks = Remedy{
	Name:    "release-stale-locks",
	Claim:   "R1",
	Summary: "The runbook's option 1: scans for lock:* and deletes what it finds, over a new connection (as redis-cli would) or a control connection.",
	Params: []Param{
		{Name: "connection", Default: "new", Check: oneOf("new", "control")},
		{Name: "try_for_ms", Default: "2000", Check: wholeNumber(0, 60_000)}, // connection: new
		// An operator who sees no improvement runs the command again.
		timesParam, pauseParam,
	},
	Apply: func(ctx context.Context, in *Handle) error {
		if in.Params["connection"] == "control" {
			return again(ctx, in, func() error { return scanAndDelete(ctx, in, in.Admin()) })
		}
		ms, _ := strconv.Atoi(in.Params["try_for_ms"])
		conn, err := dialPatiently(ctx, in, time.Duration(ms)*time.Millisecond)
		if err != nil {
			return err
		}
		c := over(conn, in.Server.Endpoint())
		defer func() { _ = c.Close() }()
		return again(ctx, in, func() error { return scanAndDelete(ctx, in, c) })
	},
}

func scanAndDelete(ctx context.Context, in *Handle, c *redis.Client) error {
	did := "SCAN MATCH " + in.Pattern
	var found []string
	for it := c.Scan(ctx, 0, in.Pattern, 1000).Iterator(); ; {
		if it.Next(ctx) {
			found = append(found, it.Val())
			continue
		}
		if err := it.Err(); err != nil {
			in.Step(did, err.Error())
			return blocked("%s: %w", did, err)
		}
		break
	}
	if len(found) == 0 {
		in.Step(did, "0 keys: nothing to delete")
		return nil
	}
	in.Step(did, text.Plural(len(found), "key"))
	did = "DEL " + text.FirstOf(found, " ", mostListed)
	deleted, err := c.Del(ctx, found...).Result()
	if err != nil {
		in.Step(did, err.Error())
		return blocked("DEL of %s: %w", text.Plural(len(found), "key"), err)
	}
	in.Step(did, fmt.Sprintf("%d deleted", deleted))
	return nil
}

// retryEvery is how often a person would press the up-arrow and Enter.
const retryEvery = 100 * time.Millisecond

// dialPatiently tries for a connection as an operator would, again and again.
func dialPatiently(ctx context.Context, in *Handle, patience time.Duration) (net.Conn, error) {
	addr := in.Server.Endpoint().Addr
	begun, tries := time.Now(), 0
	for {
		tries++
		conn, err := dialAndListen(ctx, addr)
		if err == nil {
			in.Step("connect to "+addr, fmt.Sprintf("connected at try %d", tries))
			return conn, nil
		}
		if ctx.Err() != nil {
			in.Step("connect to "+addr, fmt.Sprintf("given up in try %d: %v", tries, ctx.Err()))
			return nil, ctx.Err()
		}
		if tried := time.Since(begun); tried+retryEvery > patience {
			err = fmt.Errorf("no connection in %d tries over %.1f s: %w", tries, tried.Seconds(), err)
			in.Step("connect to "+addr, err.Error())
			return nil, blocked("%w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
}

// refusalGrace is how long the server gets to turn a new connection away. On
// loopback the refusal comes within a millisecond of the accept.
const refusalGrace = 50 * time.Millisecond

// dialAndListen connects and listens before it speaks. A full server says so
// unasked and hangs up; a client that writes first may get a reset in place of the words.
func dialAndListen(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(refusalGrace))
	line, err := resp.Line(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return conn, conn.SetReadDeadline(time.Time{})
	}
	_ = conn.Close()
	if err != nil {
		return nil, fmt.Errorf("the server hung up: %w", err)
	}
	return nil, fmt.Errorf("the server answered %q", strings.TrimSpace(line))
}

// over speaks Redis on a connection that stands already, and opens no other.
func over(conn net.Conn, e server.Endpoint) *redis.Client {
	given := false
	c := redis.NewClient(&redis.Options{
		Addr: e.Addr, Username: e.Username, Password: e.Password, DB: e.DB,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if given {
				return nil, errors.New("the connection that the remedy had broke")
			}
			given = true
			if e.TLS != nil {
				return resp.Limit(tls.Client(conn, e.TLS)), nil
			}
			return resp.Limit(conn), nil
		},
		Protocol: 2, DisableIdentity: true, PoolSize: 1, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	c.AddHook(server.EndWithContext(conn))
	return c
}
