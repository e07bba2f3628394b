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

// What Redis answers passes in whatever pieces it comes, and the meter knows where each
// reply ends; what no Redis answers is found by its header.
func TestMeter(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("*1\r\n", n) }
	for _, c := range []struct {
		name, said string
		long       bool
	}{
		{"status, error, number, nothing", "+OK\r\n-ERR no\r\n:1\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n", false},
		// In a string a line may look like a header.
		{"string that looks like a header", "$17\r\n*9999999999\r\n$$$\r\n+OK\r\n", false},
		{"arrays in arrays", "*2\r\n*2\r\n$1\r\na\r\n*0\r\n:1\r\n" + deep(MaxDepth) + "+OK\r\n", false},
		{"many small arrays one after the other", strings.Repeat("*1\r\n+OK\r\n", 100), false},
		{"map, set and attribute", "%1\r\n+a\r\n:1\r\n~1\r\n+a\r\n|1\r\n+a\r\n+b\r\n+OK\r\n", false},
		{"line without an end", "+" + strings.Repeat("x", MaxLine+1), true},
		{"long string", "$9999999999\r\n", true},
		{"long verbatim string", "=9999999999\r\n", true},
		{"string of a length that is no number", "$99999999999999999999\r\n", true},
		{"large array", "*100000000\r\n", true},
		{"large map", "%100000000\r\n", true},
		{"arrays that are large together", "*2\r\n*1000000\r\n" + strings.Repeat(":1\r\n", 1_000_000) + "*1000000\r\n", true},
		{"deep arrays", deep(MaxDepth + 1), true},
		{"strings that are long together", "*2\r\n$60000000\r\n" + strings.Repeat("x", 60_000_000) + "\r\n$60000000\r\n", true},
	} {
		for _, piece := range []int{1, 7, 4096, len(c.said)} {
			if len(c.said) > 1<<20 && piece < 4096 {
				continue
			}
			var m Meter
			for rest := c.said; rest != ""; rest = rest[min(piece, len(rest)):] {
				_ = m.Look([]byte(rest[:min(piece, len(rest))]))
			}
			if err := m.Look(nil); errors.Is(err, ErrTooLong) != c.long {
				t.Errorf("%s, in pieces of %d: %v; want it to be found: %v", c.name, piece, err, c.long)
			}
			if !c.long && (len(m.open) > 0 || m.skip > 0 || len(m.line) > 0) {
				t.Errorf("%s, in pieces of %d: %d arrays are open at the end", c.name, piece, len(m.open))
			}
		}
	}
}

func TestLine(t *testing.T) {
	for said, want := range map[string]error{
		"+PONG\r\n": nil, "+PONG": io.EOF, strings.Repeat("x", 10*MaxLine): ErrTooLong,
	} {
		if _, err := Line(strings.NewReader(said)); !errors.Is(err, want) {
			t.Errorf("%.10q: %v; want %v", said, err, want)
		}
	}
}

// A client library at a peer that floods takes little memory, and is told at once.
func TestLimitAtAFlood(t *testing.T) {
	for _, said := range []string{strings.Repeat("x", 1<<20), "$9999999999\r\n", "*100000000\r\n", strings.Repeat("*1000\r\n", 1000)} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			_, _ = theirs.Read(make([]byte, 1000))
			for {
				if _, err := io.WriteString(theirs, said); err != nil {
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
		begun := time.Now()
		err := c.Info(t.Context()).Err()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrTooLong) || took > 64<<20 || time.Since(begun) > 5*time.Second {
			t.Errorf("%.12q: %v after %v, with %d MiB", said, err, time.Since(begun), took>>20)
		}
		_ = c.Close()
	}
}
