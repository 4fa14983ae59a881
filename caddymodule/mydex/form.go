// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var errForm = errors.New("the Content-Type is that of a form, whose fields could override the member's identity: send JSON as application/json")

// checkBody refuses forms. PHP merges the fields of
// application/x-www-form-urlencoded and multipart/form-data with the parameters of
// the query and prefers them ($_REQUEST, with the default request_order GP), so
// that key=… in a body would win over the one in the query.
//
// PHP compares without case, and only up to the first ";", "," or space; other
// servers look at other copies of a header than the first. So every value of every
// copy is searched.
func checkBody(out *http.Request) error {
	for name, values := range out.Header {
		if !isAlias(name, "content-type") {
			continue
		}
		for _, v := range values {
			v = strings.ToLower(v)
			if strings.Contains(v, "form-urlencoded") || strings.Contains(v, "multipart/") {
				return delegation.Refuse(delegation.RouteDenied, errForm)
			}
		}
	}
	return nil
}

// declareBody declares a body without a Content-Type to be JSON. A server may
// otherwise look at its first bytes and guess (RFC 9110 section 8.3), or take it
// for a form, as those do that follow CGI.
func declareBody(out *http.Request) {
	if out.Body == nil || out.Body == http.NoBody || out.ContentLength == 0 {
		return
	}
	for _, v := range out.Header["Content-Type"] {
		if strings.TrimSpace(v) != "" {
			return
		}
	}
	out.Header["Content-Type"] = []string{"application/json"}
}

// isAlias tells whether a header's name reads as another one, which is in lower
// case. Servers that hand headers on as environment variables (RFC 3875 section
// 4.1.18) turn every byte but letters and digits into the same separator, so that
// Connection_Token becomes Connection-Token there.
func isAlias(name, of string) bool {
	if len(name) != len(of) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case !isAlphanumeric(c):
			c = '-'
		case c >= 'A':
			c |= 0x20
		}
		if c != of[i] {
			return false
		}
	}
	return true
}
