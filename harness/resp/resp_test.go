package resp

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Replies of a Redis pass, split in any way, and the meter finds the end of each. Replies that no
// Redis sends are detected by their header.
func TestMeter(t *testing.T) {
	const million, long = "*1000000\r\n", "$60000000\r\n"
	deep := func(n int) string { return strings.Repeat("*1\r\n", n) }
	for _, c := range []struct {
		name, stream string
		tooLong      bool
	}{
		{"status, error, number, nothing", "+OK\r\n-ERR no\r\n:1\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n", false},
		{"string that looks like a header", "$17\r\n*9999999999\r\n$$$\r\n+OK\r\n", false},
		{"arrays in arrays", "*2\r\n*2\r\n$1\r\na\r\n*0\r\n:1\r\n" + deep(MaxDepth) + "+OK\r\n", false},
		{"many small arrays one after the other", strings.Repeat("*1\r\n+OK\r\n", 100), false},
		{"map, set and attribute", "%1\r\n+a\r\n:1\r\n~1\r\n+a\r\n|1\r\n+a\r\n+b\r\n+OK\r\n", false},
		{"line without an end", "+" + strings.Repeat("x", MaxLine+1), true},
		{"long string", "$9999999999\r\n", true},
		{"long verbatim string", "=9999999999\r\n", true},
		{"string whose length is not a number", "$99999999999999999999\r\n", true},
		{"large array", "*100000000\r\n", true},
		{"large map", "%100000000\r\n", true},
		{"arrays that are large together", "*2\r\n" + million + strings.Repeat(":1\r\n", 1_000_000) + million, true},
		{"deep arrays", deep(MaxDepth + 1), true},
		{"strings that are long together", "*2\r\n" + long + strings.Repeat("x", 60_000_000) + "\r\n" + long, true},
	} {
		for _, piece := range []int{1, 7, 4096, len(c.stream)} {
			if len(c.stream) > 1<<20 && piece < 4096 {
				continue
			}
			var m Meter
			for rest := c.stream; rest != ""; rest = rest[min(piece, len(rest)):] {
				_ = m.Look([]byte(rest[:min(piece, len(rest))]))
			}
			if err := m.Look(nil); errors.Is(err, ErrTooLong) != c.tooLong {
				t.Errorf("%s, in pieces of %d: %v; want ErrTooLong: %v", c.name, piece, err, c.tooLong)
			}
			if !c.tooLong && (len(m.open) > 0 || m.skip > 0 || len(m.line) > 0) {
				t.Errorf("%s, in pieces of %d: %d arrays are open at the end", c.name, piece, len(m.open))
			}
		}
	}
}

func TestLine(t *testing.T) {
	for stream, want := range map[string]error{
		"+PONG\r\n": nil, "+PONG": io.EOF, strings.Repeat("x", 10*MaxLine): ErrTooLong,
	} {
		if _, err := Line(strings.NewReader(stream)); !errors.Is(err, want) {
			t.Errorf("%.10q: %v; want %v", stream, err, want)
		}
	}
}

// A client library uses little memory when a peer floods it, and gets the error at once.
func TestLimitUnderFlood(t *testing.T) {
	for _, reply := range []string{
		strings.Repeat("x", 1<<20), "$9999999999\r\n", "*100000000\r\n", strings.Repeat("*1000\r\n", 1000),
	} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			_, _ = theirs.Read(make([]byte, 1000))
			for {
				if _, err := io.WriteString(theirs, reply); err != nil {
					return
				}
			}
		}()
		c := redis.NewClient(&redis.Options{
			Dialer:   func(context.Context, string, string) (net.Conn, error) { return Limit(ours), nil },
			Protocol: 2, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, ReadTimeout: -1,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		started := time.Now()
		err := c.Info(t.Context()).Err()
		runtime.ReadMemStats(&after)
		took, allocated := time.Since(started), after.TotalAlloc-before.TotalAlloc
		if !errors.Is(err, ErrTooLong) || allocated > 64<<20 || took > 5*time.Second {
			t.Errorf("%.12q: %v after %v, with %d MiB", reply, err, took, allocated>>20)
		}
		_ = c.Close()
	}
}
