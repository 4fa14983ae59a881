// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// CookieLifetime is how long a browser may take to come back. A result of the
	// platform waits as long.
	CookieLifetime = 7 * 24 * time.Hour

	// maxPendingStates is how many states are kept of flows that this browser is not
	// known to have begun. One more takes the place of the oldest.
	maxPendingStates = 3

	// maxOwnFlows is how many flows are kept that this browser has begun. One more
	// takes the place that [Cookie.evict] finds.
	maxOwnFlows = 24
)

// Cookie has the consent flows of a browser. The zero Cookie is that of a browser
// which has begun none.
//
// It binds a flow to the browser that began it: without, an attacker could send a
// victim the link to consent at, and read the victim's data (login CSRF, RFC 6749
// section 10.12). It holds the state of a flow only once the browser has come back
// with it: state and browser token together complete the flow, and must not be in
// one place before the person was at the platform.
//
// The user can change it, and pages of other sites can send the browser to /return
// with states of other people's flows. Its size is therefore bounded, and such
// states take no place of the flows that this browser has begun.
type Cookie struct {
	// BrowserToken is the random value that flows of this browser are bound to.
	// Empty: it has begun none.
	BrowserToken string

	// pendingStates are those that the browser has come back with, of flows that it
	// is not known to have begun and that could not be completed yet; the latest
	// first. They may belong to several users of one computer.
	pendingStates []string

	// ownFlows are those that this browser has begun, the latest first.
	ownFlows []ownFlow
}

// HTTPCookie returns the cookie of the flows of a provider and source, without its
// value: HttpOnly; Secure and with the prefix __Host- where the site is https, which
// keeps subdomains from setting it; SameSite=Lax, because the browser comes back from
// another site. provider is the configured name; [http.Cookie.Valid] tells whether
// it can be part of a cookie's. source is empty for a provider without sources. No two
// cookies have the same name, even if a provider's has dots: a source's has none.
func HTTPCookie(provider, source string, secure bool) http.Cookie {
	name := "delegate_" + provider
	if source != "" {
		name = "delegate-source_" + provider + "." + source
	}
	//nolint:gosec // Secure wherever the address is https
	c := http.Cookie{Name: name, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if secure {
		c.Name = "__Host-" + c.Name
	}
	return c
}

// ParseCookie reads a cookie's value, as [Cookie.String] has written it:
//
//	<browser token>.<state>…~<own flow>.<own flow>…
//
// A value that is written otherwise is as good as none, except that more than
// three states are cut.
func ParseCookie(value string) *Cookie {
	others, own, _ := strings.Cut(value, "~")
	tokens := strings.Split(others, ".")
	for i, token := range tokens {
		if !IsToken(token) && (token != "" || i > 0) {
			return new(Cookie)
		}
	}
	flows, ok := parseOwnFlows(own)
	if !ok {
		return new(Cookie)
	}
	return &Cookie{BrowserToken: tokens[0], pendingStates: tokens[1:min(len(tokens), 1+maxPendingStates)], ownFlows: flows}
}

// String returns the cookie's value, some 1 KiB at most. Empty: there is nothing to
// keep.
func (c *Cookie) String() string {
	return strings.Join(append([]string{c.BrowserToken}, c.pendingStates...), ".") + formatOwnFlows(c.ownFlows)
}

// States returns those that the browser has come back with and that a person may
// be able to complete: of flows that they have begun, and of flows that nobody is
// known to have begun here.
func (c *Cookie) States(p delegation.Person) []string {
	return append(c.returnedStates(p), c.pendingStates...)
}

// AddPending keeps the state of a flow that this browser is not known to have
// begun.
func (c *Cookie) AddPending(state string) {
	c.Remove(state)
	c.pendingStates = append([]string{state}, c.pendingStates...)
	c.pendingStates = c.pendingStates[:min(len(c.pendingStates), maxPendingStates)]
}

// Remove drops a flow that has ended.
func (c *Cookie) Remove(state string) {
	c.pendingStates = slices.DeleteFunc(slices.Clone(c.pendingStates), func(other string) bool { return other == state })
	c.ownFlows = slices.DeleteFunc(slices.Clone(c.ownFlows), func(f ownFlow) bool { return f.hasState(state) })
}

// IsToken tells whether a text can be a state or a browser token: 1 to 64 letters
// and digits of ASCII. It decides what may be written into the cookie.
func IsToken(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
