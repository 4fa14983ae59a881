// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// trailLife is for how long a browser may come back. What the platform has
	// told waits for as long.
	trailLife = 7 * 24 * time.Hour

	// maxBacks is how many addresses are remembered of journeys that this browser
	// is not known to have set out on. One more takes the place of the oldest.
	maxBacks = 3

	// maxOwn is how many are remembered of those that it has set out on, back or
	// not.
	maxOwn = 24
)

// trail is what a browser keeps of the journeys it is on, in a cookie. Pages of
// other sites can send it to any address, and so to those of other people's
// journeys: they take no place of its own.
type trail struct {
	// browser is what it has set out with; empty if it has not.
	browser string
	// backs are the states of the addresses that it has come back to before the
	// journey could end, the latest first. Not any before: whoever has both ends
	// the journey, and somebody who sends another to the platform's page must
	// not. They may be of several users of one computer.
	backs []string
	// own are the same of journeys that it has set out on, the latest first.
	own []ownJourney

	saved string
}

// journeyCookie ties journeys to a browser. The prefix keeps subdomains from
// setting it. Lax, because the browser comes back from another site.
func journeyCookie(provider string, secure bool) http.Cookie {
	//nolint:gosec // Secure wherever the address is https
	c := http.Cookie{Name: "delegate_" + provider, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if secure {
		c.Name = "__Host-" + c.Name
	}
	return c
}

// trail reads the cookie. Two of the name are none.
func (v *visit) trail() *trail {
	t := new(trail)
	cookies := v.r.CookiesNamed(v.cookie.Name)
	if len(cookies) != 1 {
		return t
	}
	t.saved = cookies[0].Value
	others, own, _ := strings.Cut(t.saved, "~")
	tokens := strings.Split(others, ".")
	for i, token := range tokens {
		if !isToken(token) && (token != "" || i > 0) {
			return t
		}
	}
	mine, ok := parseOwn(own)
	if !ok {
		return t
	}
	t.own = mine
	t.browser, t.backs = tokens[0], tokens[1:min(len(tokens), 1+maxBacks)]
	return t
}

// save has the browser keep what has changed.
func (v *visit) save(t *trail) {
	value := strings.Join(append([]string{t.browser}, t.backs...), ".") + formatOwn(t.own)
	if value == t.saved {
		return
	}
	t.saved = value
	cookie := v.cookie //nolint:gosec // see journeyCookie
	if cookie.Value, cookie.MaxAge = value, int(trailLife.Seconds()); value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(v.w, &cookie)
}

func (t *trail) add(back string) {
	t.drop(back)
	t.backs = append([]string{back}, t.backs...)
	t.backs = t.backs[:min(len(t.backs), maxBacks)]
}

func (t *trail) drop(back string) {
	t.backs = slices.DeleteFunc(slices.Clone(t.backs), func(other string) bool { return other == back })
	t.own = slices.DeleteFunc(slices.Clone(t.own), func(j ownJourney) bool { return j.is(back) })
}

// isToken tells whether something can be a journey's token: it goes into a
// cookie.
func isToken(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
