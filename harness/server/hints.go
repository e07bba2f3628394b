package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// probeLimit bounds the check whether a server speaks TLS.
const probeLimit = 2 * time.Second

// explain adds advice to the error of the first connection to a server that runs already, if there
// is any. It dials the endpoint again if the two may disagree about TLS, and sends no password.
func (e Endpoint) explain(ctx context.Context, err error) error {
	if hint := e.hint(ctx, err); hint != "" {
		return fmt.Errorf("%w: %s", err, hint)
	}
	return err
}

func (e Endpoint) hint(ctx context.Context, err error) string {
	var (
		certificate *tls.CertificateVerificationError
		call        *net.OpError
	)
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrRefused):
		return ""
	case errors.Is(err, ErrAnswer):
		return hintForAnswer(err.Error())
	case errors.As(err, &certificate):
		return "set SSL_CERT_FILE to the certificate of its authority, or skip the check with ?skip_verify=true"
	case strings.Contains(err.Error(), "tls: certificate required"):
		return "the server requires a client certificate, which lockjam does not support: " +
			"set tls-auth-clients to no or optional"
	case errors.As(err, &call) && call.Op == "dial" && e.TLS == nil:
		return "" // nothing listens there
	case e.TLS == nil && e.speaksTLS(ctx):
		return "the server speaks TLS: use rediss:// instead of redis://"
	case e.TLS != nil && e.speaksPlain(ctx):
		return "the server does not speak TLS: use redis:// instead of rediss://"
	}
	return ""
}

// hintForAnswer returns advice about a server's answer; "" if there is none.
func hintForAnswer(answer string) string {
	for _, known := range []struct{ words, hint string }{
		{"NOAUTH", "add user and password to the URL: redis://user:password@host:port"},
		{"WRONGPASS", "check user and password; " +
			"percent-encode special characters in a URL (@ is %40, / is %2F, % is %25)"},
		{"invalid password", "check the password; " +
			"percent-encode special characters in a URL (@ is %40, / is %2F, % is %25)"},
		{"DB index", "the server has no database with this number: use another one at the end of the URL, or none"},
		{"NOPERM", "grant this user the command"},
		{"AUTH <password> called without any password configured", "remove the password from the URL"},
		{"no password is set", "remove the password from the URL"},
	} {
		if strings.Contains(answer, known.words) {
			return known.hint
		}
	}
	return ""
}

// speaksTLS reports whether the peer answers the beginning of a TLS handshake with TLS. It does not
// check the certificate.
func (e Endpoint) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	connection, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", e.Addr)
	if err == nil {
		connection.Close()
	}
	var alert tls.AlertError
	return err == nil || errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:")
}

// speaksPlain reports whether the peer answers a PING without TLS, even if with an error.
func (e Endpoint) speaksPlain(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.Addr)
	if err != nil {
		return false
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	_, _ = connection.Write([]byte("PING\r\n"))
	first := make([]byte, 1)
	n, _ := connection.Read(first)
	return n == 1 && (first[0] == '+' || first[0] == '-')
}
