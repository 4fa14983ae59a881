// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/http"
	"strings"
)

// noSession is the cause where a request has no credential in any of the places
// that a [Carrier] looks at.
const noSession = "the request carries no session"

// missing is noSession with what the request carries instead, for an operator
// whose settings name another cookie than the app sets. It names a cookie only
// where the configured name differs from it by a prefix of browsers (RFC 6265bis
// section 4.1.3) or by case: all others are whatever somebody has sent.
func (c Extractor) missing(h http.Header) string {
	if len(h["Cookie"]) == 0 && (c.Bearer || len(h["Authorization"]) == 0) {
		return noSession
	}
	text := noSession
	cookies := (&http.Request{Header: http.Header{"Cookie": h["Cookie"]}}).Cookies()
	if c.Cookie != "" && len(cookies) > 0 {
		text += ": it has cookies, and none is " + c.Cookie
		for _, other := range cookies {
			if name, _, _ := strings.Cut(other.Name, "."); strings.EqualFold(baseName(name), baseName(c.Cookie)) {
				return text + ", but one is " + name + ": write the name that the app sets in `cookie`"
			}
		}
		text += ": compare `cookie` with the name that the app sets"
	}
	if c.Cookie == "" && len(cookies) > 0 {
		text += ": it has cookies, and `cookie` is not set"
	}
	if !c.Bearer && len(h["Authorization"]) > 0 {
		text += "; it has the header Authorization, and `bearer` is not set"
	}
	return text
}

// baseName is a cookie's name without the prefix that browsers obey.
func baseName(name string) string {
	for _, prefix := range []string{"__Host-", "__Secure-"} {
		if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return name[len(prefix):]
		}
	}
	return name
}
