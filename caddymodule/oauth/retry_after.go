// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

// Unreachable returns the error for a call that got no answer. Its text is that
// of [neterror.Cause].
func Unreachable(err error) *Error {
	return &Error{Kind: Unavailable, reason: neterror.Cause(err)}
}

// maxRetryAfter is the longest wait that an answer may ask for.
const maxRetryAfter = time.Hour

// RetryAfter returns how long an answer asks to wait before the next request:
// Retry-After in seconds or as a date (RFC 9110 section 10.2.3), otherwise the
// seconds of RateLimit-Reset. It is at most an hour, and 0 if the answer does not
// say.
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

// clockSkew returns the issuer's clock minus ours, by the answer's Date header; 0
// if unknown.
func clockSkew(h http.Header, now time.Time) time.Duration {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return at.Sub(now).Round(time.Second)
}
