package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockjam/lockjam/harness/metrics"
	"github.com/lockjam/lockjam/harness/result"
)

// exposition serves the figures of a run for as long as it lasts; nil serves
// none.
type exposition struct {
	live   *metrics.Live
	server *http.Server
	url    string
}

// expose listens on the address that the user names, which has no default: ":9090"
// would be every address of the machine.
func expose(cmd *cobra.Command, address string) (*exposition, error) {
	if address == "" {
		return nil, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || !isPort(port) {
		return nil, badUsage(cmd, "%s: %q is not HOST:PORT", origin(cmd, "metrics"), address)
	}
	if host == "" {
		return nil, badUsage(cmd, "%s: %s names no address: 127.0.0.1:%[3]s is for this machine, 0.0.0.0:%[3]s and [::]:%[3]s for everybody", origin(cmd, "metrics"), address, port)
	}
	listener, err := net.Listen(networkOf(host), address)
	if err != nil {
		return nil, badUsage(cmd, "%s: cannot listen on %s: %v", origin(cmd, "metrics"), address, reason(err))
	}
	x := &exposition{live: metrics.New(), url: "http://" + listener.Addr().String() + "/metrics"}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", x.live.Handler())
	x.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	go func() { _ = x.server.Serve(listener) }() // until it is closed
	return x, nil
}

// networkOf is the network of an address that is named: 0.0.0.0 would be every address of IPv6 as well, and :: of IPv4.
func networkOf(host string) string {
	switch ip := net.ParseIP(host); {
	case ip == nil:
		return "tcp"
	case ip.To4() != nil:
		return "tcp4"
	}
	return "tcp6"
}

// isPort reports whether it is a number that a port may have; 0 is any that is free.
func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// reason is the cause of a failed dial or listen without the address, which is said
// already.
func reason(err error) error {
	var failed *net.OpError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// beside tells the onlooker as well.
func (x *exposition) beside(observe func(result.Event)) func(result.Event) {
	if x == nil {
		return observe
	}
	return func(e result.Event) {
		x.live.Observe(e)
		observe(e)
	}
}

// announce says where the figures are.
func (x *exposition) announce(say func(string)) {
	if x != nil {
		say(fmt.Sprintf("metrics: %s", x.url))
	}
}

// close ends the scrapes that are under way.
func (x *exposition) close() {
	if x != nil {
		_ = x.server.Close()
	}
}
