// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// changedCookie reads a cookie and writes it again.
func changedCookie(change func(*consentCookie), cookies ...string) (*consentCookie, []*http.Cookie) {
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	c := &Connect{cookie: newConsentCookie("mydex", true)}
	for _, value := range cookies {
		r.Header.Add("Cookie", c.cookie.Name+"="+value)
	}
	v := &connectRequest{Connect: c, r: r, w: w}
	t := v.readCookie()
	if change != nil {
		change(t)
	}
	v.saveCookie(t)
	return t, w.Result().Cookies()
}

// TestConsentCookie protects journeys from each other in the one cookie that they have,
// and the cookie from what anybody's page can put into an address.
func TestConsentCookie(t *testing.T) {
	for cookie, want := range map[string]string{
		"": " []", "A": "A []", "A.B": "A [B]", ".B": " [B]", "A.B.C.D": "A [B C D]", "A.B.C.D.E": "A [B C D]",
		"A.": " []", "A..B": " []", "A.B;x": "A [B]", "A B": " []", "A.B_": " []", "A." + strings.Repeat("B", 65): " []",
	} {
		trail, _ := changedCookie(nil, cookie)
		if got := trail.browserToken + " [" + strings.Join(trail.pendingStates, " ") + "]"; got != want {
			t.Errorf("%q: %s, want %s", cookie, got, want)
		}
	}
	if trail, set := changedCookie(nil, "A.B", "A.C"); trail.browserToken != "" || len(trail.pendingStates) > 0 || len(set) > 0 {
		t.Errorf("two cookies: %+v %v", trail, set)
	}
	for what, c := range map[string]struct {
		change func(*consentCookie)
		want   []string // the new value, if it is set
	}{
		"nothing":         {nil, nil},
		"the same":        {func(t *consentCookie) { t.addPending("B") }, nil},
		"another":         {func(t *consentCookie) { t.addPending("C") }, []string{"A.C.B"}},
		"too many":        {func(t *consentCookie) { t.addPending("C"); t.addPending("D"); t.addPending("E") }, []string{"A.E.D.C"}},
		"over":            {func(t *consentCookie) { t.removeState("B") }, []string{"A"}},
		"another's over":  {func(t *consentCookie) { t.removeState("C") }, nil},
		"all of it over":  {func(t *consentCookie) { t.removeState("B"); t.browserToken = "" }, []string{""}},
		"begun once more": {func(t *consentCookie) { t.browserToken = "N" }, []string{"N.B"}},
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
