// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
)

// readCookie returns the browser's cookie of its consent flows. Two of the name
// are none: a subdomain may have set one of them.
func (v *connectRequest) readCookie() *consent.Cookie {
	cookies := v.r.CookiesNamed(v.source.cookie.Name)
	if len(cookies) != 1 {
		return new(consent.Cookie)
	}
	v.cookieValue = cookies[0].Value
	return consent.ParseCookie(v.cookieValue)
}

// saveCookie sets the cookie if it is not what the browser has.
func (v *connectRequest) saveCookie(c *consent.Cookie) {
	value := c.String()
	if value == v.cookieValue {
		return
	}
	v.cookieValue = value
	cookie := v.source.cookie //nolint:gosec // see consent.HTTPCookie
	if cookie.Value, cookie.MaxAge = value, int(consent.CookieLifetime.Seconds()); value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(v.w, &cookie)
}
