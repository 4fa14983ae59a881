// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Unreachable returns the error for a call that got no answer. It says why in
// the words of [NetworkCause].
func Unreachable(err error) *Error {
	return &Error{Kind: Unavailable, reason: NetworkCause(err)}
}

// NetworkCause says why a call got no answer, in words of our own: net/http's
// errors quote what came over the wire.
func NetworkCause(err error) string {
	var (
		timeout     net.Error
		lookup      *net.DNSError
		operation   *net.OpError
		host        x509.HostnameError
		authority   x509.UnknownAuthorityError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	case errors.As(err, &lookup):
		return "its host name was not found"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &authority):
		return "its certificate is signed by an unknown authority; name yours with ca_file"
	case errors.As(err, &certificate):
		return "its certificate is not valid"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.As(err, &operation) && operation.Op == "dial":
		return "it does not accept connections"
	default:
		return "the connection broke"
	}
}

// maxRetryAfter bounds what an answer may make us wait.
const maxRetryAfter = time.Hour

// RetryAfter tells how long an answer asks to wait before the next request:
// Retry-After in seconds or as a date (RFC 9110 section 10.2.3), otherwise the
// seconds of RateLimit-Reset; at most an hour, 0 if it does not say.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After", "RateLimit-Reset"} {
		value := strings.TrimSpace(h.Get(name))
		if value == "" {
			continue
		}
		if strings.Trim(value, "0123456789") == "" {
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil || seconds > int64(maxRetryAfter/time.Second) {
				return maxRetryAfter
			}
			return time.Duration(seconds) * time.Second
		}
		if at, err := http.ParseTime(value); err == nil {
			return min(max(at.Sub(now), 0), maxRetryAfter)
		}
	}
	return 0
}

// clockSkew is the issuer's clock minus ours by the answer's Date; 0 if unknown.
func clockSkew(h http.Header, now time.Time) time.Duration {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return at.Sub(now).Round(time.Second)
}
