// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// cookieLifetime is for how long a browser may come back. What the platform has
	// told waits for as long.
	cookieLifetime = 7 * 24 * time.Hour

	// maxPendingStates is how many addresses are remembered of journeys that this browser
	// is not known to have set out on. One more takes the place of the oldest.
	maxPendingStates = 3

	// maxOwnFlows is how many are remembered of those that it has set out on, back or
	// not.
	maxOwnFlows = 24
)

// consentCookie is what a browser keeps of the journeys it is on, in a cookie. Pages of
// other sites can send it to any address, and so to those of other people's
// journeys: they take no place of its own.
type consentCookie struct {
	// browserToken is what it has set out with; empty if it has not.
	browserToken string
	// pendingStates are the states of the addresses that it has come back to before the
	// journey could end, the latest first. Not any before: whoever has both ends
	// the journey, and somebody who sends another to the platform's page must
	// not. They may be of several users of one computer.
	pendingStates []string
	// ownFlows are the same of journeys that it has set out on, the latest first.
	ownFlows []ownFlow

	received string
}

// newConsentCookie ties journeys to a browser. The prefix keeps subdomains from
// setting it. Lax, because the browser comes back from another site.
func newConsentCookie(provider string, secure bool) http.Cookie {
	//nolint:gosec // Secure wherever the address is https
	c := http.Cookie{Name: "delegate_" + provider, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if secure {
		c.Name = "__Host-" + c.Name
	}
	return c
}

// readCookie reads the cookie. Two of the name are none.
func (v *connectRequest) readCookie() *consentCookie {
	t := new(consentCookie)
	cookies := v.r.CookiesNamed(v.cookie.Name)
	if len(cookies) != 1 {
		return t
	}
	t.received = cookies[0].Value
	others, own, _ := strings.Cut(t.received, "~")
	tokens := strings.Split(others, ".")
	for i, token := range tokens {
		if !isToken(token) && (token != "" || i > 0) {
			return t
		}
	}
	mine, ok := parseOwnFlows(own)
	if !ok {
		return t
	}
	t.ownFlows = mine
	t.browserToken, t.pendingStates = tokens[0], tokens[1:min(len(tokens), 1+maxPendingStates)]
	return t
}

// saveCookie has the browser keep what has changed.
func (v *connectRequest) saveCookie(t *consentCookie) {
	value := strings.Join(append([]string{t.browserToken}, t.pendingStates...), ".") + formatOwnFlows(t.ownFlows)
	if value == t.received {
		return
	}
	t.received = value
	cookie := v.cookie //nolint:gosec // see journeyCookie
	if cookie.Value, cookie.MaxAge = value, int(cookieLifetime.Seconds()); value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(v.w, &cookie)
}

func (t *consentCookie) addPending(back string) {
	t.removeState(back)
	t.pendingStates = append([]string{back}, t.pendingStates...)
	t.pendingStates = t.pendingStates[:min(len(t.pendingStates), maxPendingStates)]
}

func (t *consentCookie) removeState(back string) {
	t.pendingStates = slices.DeleteFunc(slices.Clone(t.pendingStates), func(other string) bool { return other == back })
	t.ownFlows = slices.DeleteFunc(slices.Clone(t.ownFlows), func(j ownFlow) bool { return j.hasState(back) })
}

// isToken tells whether something can be a journey's token: it goes into a
// cookie.
func isToken(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
