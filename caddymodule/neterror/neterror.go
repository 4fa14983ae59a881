// SPDX-License-Identifier: Apache-2.0

// Package neterror says why a network call got no answer, in words that are fit
// for logs: the errors of net/http and crypto/tls quote addresses, and what
// came over the wire.
package neterror

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
)

// Cause returns why a call got no answer: one of a dozen texts about the other
// side, such as "it does not accept connections". Of err's own text it holds
// nothing, and of what came over the wire only the name of a certificate's issuer.
func Cause(err error) string {
	var (
		lookup      *net.DNSError
		host        x509.HostnameError
		authority   x509.UnknownAuthorityError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		private     *publicaddr.Error
	)
	switch {
	case errors.As(err, &private):
		return "its host is at an address that is not public; if it is your own, use allow_private"
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	case IsTimeout(err):
		return "it did not answer in time"
	case errors.As(err, &lookup):
		return "its host name was not found"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &authority):
		return "its certificate is signed by an unknown authority" + issuerName(authority.Cert) + "; name yours with ca_file (PostgreSQL: sslrootcert)"
	case errors.As(err, &certificate):
		return "its certificate is not valid"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case NotSent(err):
		return "it does not accept connections"
	case errors.Is(err, io.EOF):
		return "it closed the connection"
	default:
		return "the connection broke"
	}
}

// maxIssuerName bounds what a certificate can put into the log, in bytes.
const maxIssuerName = 64

// issuerName returns who has signed a certificate, quoted, for the operator who
// has to know whom to ask: often it is a gateway of their own house that looks
// into TLS. Empty if the certificate does not say.
func issuerName(certificate *x509.Certificate) string {
	if certificate == nil || certificate.Issuer.CommonName == "" {
		return ""
	}
	name := certificate.Issuer.CommonName
	if len(name) > maxIssuerName {
		name = strings.ToValidUTF8(name[:maxIssuerName], "") + "…"
	}
	return ", " + strconv.QuoteToASCII(name)
}

// IsTimeout reports whether a call ended because the other side took too long:
// by the deadline of its context, or of the connection.
func IsTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

// NotSent reports whether no connection could be made, so that nothing of the
// request was sent.
func NotSent(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "dial"
}
