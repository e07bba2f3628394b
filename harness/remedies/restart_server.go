package remedies

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockjam/lockjam/harness/server"
)

// restartServer is what raise-maxclients-restart contains beside the raise.
var restartServer = Remedy{
	Name:     "restart-server",
	Restarts: true,
	Summary:  "Stops the server in good order (SIGTERM, as systemctl restart does) and starts it with the same redis.conf.",
	Apply: func(ctx context.Context, in *Handle) error {
		return restart(ctx, in, in.Config, "restart the server, redis.conf unchanged")
	},
}

// restart records the step. A server that is not ours to restart blocks it, and so
// does one that refuses to stop or does not come back. If it is back and something else failed, the
// fault may be lockjam's, and the error ends the arm.
func restart(ctx context.Context, in *Handle, c server.Config, did string) error {
	begun := time.Now()
	err := in.Restart(ctx, c)
	switch {
	case err == nil:
		in.Step(did, fmt.Sprintf("it answers PING again after %d ms", time.Since(begun).Milliseconds()))
		return nil
	case errors.Is(err, server.ErrNotOurs):
		in.Step(did, "not carried out: "+oneLine(err))
		return blocked("%w", err)
	case errors.Is(err, server.ErrWillNotStop):
		in.Step(did, oneLine(err))
		return blocked("%w", err)
	case ctx.Err() == nil && !answers(ctx, in.Server.Endpoint()):
		why := "the server did not come back: " + withLastWords(ctx, in.Server, oneLine(err))
		in.Step(did, why)
		return blocked("%s: %s", did, why)
	}
	in.Step(did, "failed: "+oneLine(err))
	return fmt.Errorf("%s: %w", did, err)
}

// answerWithin is how long a server that is up may take to say so.
const answerWithin = time.Second

// answers tells whether anybody is there. To be refused is an answer, too.
func answers(ctx context.Context, e server.Endpoint) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := e.Dial(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(answerWithin))
	_, _ = conn.Write([]byte("PING\r\n")) // a refused client can read all the same
	n, _ := conn.Read(make([]byte, 1))
	return n > 0
}

// withLastWords adds the last line of the server's log, unless it stands in the
// error already, as it does where the process ended while it was waited for.
func withLastWords(ctx context.Context, s server.Server, why string) string {
	log, err := s.Log(ctx)
	if err != nil {
		return why
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	// Redis writes "<pid>:<role> <date> # <words>" for a warning.
	if _, words, ok := strings.Cut(last, " # "); ok {
		last = words
	}
	if last == "" || strings.Contains(why, last) {
		return why
	}
	return fmt.Sprintf("%s; the last line of its log: %s", why, last)
}
