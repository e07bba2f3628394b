package main

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A peer that is no Redis, or one that has stopped being one, ends run and watch within
// seconds, in little memory, with one line that says what it did.
func TestPeersThatAreNoRedis(t *testing.T) {
	for _, c := range []struct {
		name, greets, says, said string
	}{
		{"answers PING and nothing more", "", "", "no answer to CLIENT SETNAME: timed out after 10s"},
		{"floods without a newline", strings.Repeat("x", 1<<20), "", "a line of more than 65536 bytes"},
		{"announces a long string", "", "$9999999999\r\n", "a string of 9999999999 bytes"},
		{"announces a large array", "", "*100000000\r\n", "an array of 100000000 elements"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			url := "redis://" + noRedis(t, c.greets, c.says)
			for _, args := range [][]string{{"run", "healthy", "--arm", "control", "--quiet", "--server", url},
				{"watch", url, "--for", "3s"}} {
				cmd := h.command(args...)
				begun := time.Now()
				out, err := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code != 69 || time.Since(begun) > 20*time.Second {
					t.Errorf("%s: exit code %d after %v, %v", args[0], code, time.Since(begun), err)
				}
				if kib := peak(cmd); kib > 256<<10 {
					t.Errorf("%s: it took %d MiB", args[0], kib>>10)
				}
				complaint := string(out[strings.LastIndex(string(out), "lockjam: ")+1:])
				if strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, c.said) {
					t.Errorf("%s: %s", args[0], out)
				}
			}
		})
	}
}

// peak is the most memory that a command has taken, in KiB.
func peak(cmd *exec.Cmd) int64 { return int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) }

// noRedis listens on loopback. It greets without end, or else answers a PING as Redis does;
// where it says something, it also takes a name, and says that to the rest.
func noRedis(t *testing.T, greets, says string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		var err error
		for greets != "" && err == nil {
			_, err = io.WriteString(c, greets)
		}
		for words := make([]byte, 4096); err == nil; {
			var n int
			n, err = c.Read(words)
			switch heard := string(words[:n]); {
			case strings.Contains(heard, "PING"):
				_, _ = io.WriteString(c, "+PONG\r\n")
			case says != "" && strings.Contains(heard, "SETNAME"):
				_, _ = io.WriteString(c, "+OK\r\n")
			case says != "":
				_, _ = io.WriteString(c, says)
			}
		}
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return listener.Addr().String()
}
