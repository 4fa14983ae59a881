// SPDX-License-Identifier: Apache-2.0

package neterror

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
)

// TestCause protects logs from what errors quote, and operators from one text
// for different faults.
func TestCause(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("planted")}
	for want, err := range map[string]error{
		"the call was cancelled":              context.Canceled,
		"it did not answer in time":           os.ErrDeadlineExceeded,
		"its host name was not found":         &net.OpError{Op: "dial", Err: &net.DNSError{Err: "planted", Name: "planted"}},
		"its certificate is for another host": x509.HostnameError{Certificate: &x509.Certificate{}, Host: "planted"},
		"its certificate is signed by an unknown authority; name yours with ca_file (PostgreSQL: sslrootcert)": &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		`its certificate is signed by an unknown authority, "St. Elsewhere Web Gateway\n"; name yours with ca_file (PostgreSQL: sslrootcert)`: &tls.CertificateVerificationError{
			Err: x509.UnknownAuthorityError{Cert: &x509.Certificate{Issuer: pkix.Name{CommonName: "St. Elsewhere Web Gateway\n"}}},
		},
		"its certificate is not valid":   &tls.CertificateVerificationError{Err: errors.New("planted")},
		"it does not speak TLS":          tls.RecordHeaderError{Msg: "planted"},
		"it does not accept connections": dial,
		"it closed the connection":       io.EOF,
		"its host is at an address that is not public; if it is your own, use allow_private": &net.OpError{Op: "dial", Err: &publicaddr.Error{Address: "planted"}},
		"the connection broke": &net.OpError{Op: "read", Err: errors.New("planted")},
	} {
		for _, err := range []error{err, &url.Error{Op: "Get", URL: "https://planted.example", Err: err}, fmt.Errorf("planted: %w", err)} {
			if got := Cause(err); got != want || strings.Contains(got, "planted") {
				t.Errorf("%T: %q, want %q", err, got, want)
			}
		}
	}
	if !NotSent(dial) || NotSent(io.EOF) || !IsTimeout(context.DeadlineExceeded) || IsTimeout(dial) {
		t.Error("what was not sent, or took too long, is not told")
	}
}
