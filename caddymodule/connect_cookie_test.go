// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
)

// changedCookie reads the cookies of a request, changes what they hold, and
// returns it with the cookies that are set.
func changedCookie(change func(*consent.Cookie), values ...string) (*consent.Cookie, []*http.Cookie) {
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	c := &Connect{own: &connectSource{cookie: consent.HTTPCookie("mydex", "", true)}}
	for _, value := range values {
		r.Header.Add("Cookie", c.own.cookie.Name+"="+value)
	}
	v := &connectRequest{Connect: c, r: r, w: w, source: c.own}
	cookie := v.readCookie()
	if change != nil {
		change(cookie)
	}
	v.saveCookie(cookie)
	return cookie, w.Result().Cookies()
}

// TestConsentCookie protects consent flows from a cookie that a subdomain has
// set, and the cookie's attributes: it is set when it changes, and only then.
func TestConsentCookie(t *testing.T) {
	if cookie, set := changedCookie(nil, "A.B", "A.C"); cookie.String() != "" || len(set) > 0 {
		t.Errorf("two cookies: %+v %v", cookie, set)
	}
	if cookie, _ := changedCookie(nil, "A.B;x"); cookie.String() != "A.B" {
		t.Errorf("with another cookie behind: %s", cookie)
	}
	for what, c := range map[string]struct {
		change func(*consent.Cookie)
		want   []string // the new value, if it is set
	}{
		"nothing":         {nil, nil},
		"the same":        {func(c *consent.Cookie) { c.AddPending("B") }, nil},
		"another":         {func(c *consent.Cookie) { c.AddPending("C") }, []string{"A.C.B"}},
		"too many":        {func(c *consent.Cookie) { c.AddPending("C"); c.AddPending("D"); c.AddPending("E") }, []string{"A.E.D.C"}},
		"over":            {func(c *consent.Cookie) { c.Remove("B") }, []string{"A"}},
		"another's over":  {func(c *consent.Cookie) { c.Remove("C") }, nil},
		"all of it over":  {func(c *consent.Cookie) { c.Remove("B"); c.BrowserToken = "" }, []string{""}},
		"begun once more": {func(c *consent.Cookie) { c.BrowserToken = "N" }, []string{"N.B"}},
	} {
		_, set := changedCookie(c.change, "A.B")
		var got []string
		for _, cookie := range set {
			got = append(got, cookie.Value)
			if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || !strings.HasPrefix(cookie.Name, "__Host-") || (cookie.MaxAge > 0) != (cookie.Value != "") {
				t.Errorf("%s: %+v", what, cookie)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}
