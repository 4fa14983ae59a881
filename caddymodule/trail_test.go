// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// trailOf reads a cookie and writes it again.
func trailOf(change func(*trail), cookies ...string) (*trail, []*http.Cookie) {
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	c := &Connect{cookie: journeyCookie("mydex", true)}
	for _, value := range cookies {
		r.Header.Add("Cookie", c.cookie.Name+"="+value)
	}
	v := &visit{Connect: c, r: r, w: w}
	t := v.trail()
	if change != nil {
		change(t)
	}
	v.save(t)
	return t, w.Result().Cookies()
}

// TestTrail protects journeys from each other in the one cookie that they have,
// and the cookie from what anybody's page can put into an address.
func TestTrail(t *testing.T) {
	for cookie, want := range map[string]string{
		"": " []", "A": "A []", "A.B": "A [B]", ".B": " [B]", "A.B.C.D": "A [B C D]", "A.B.C.D.E": "A [B C D]",
		"A.": " []", "A..B": " []", "A.B;x": "A [B]", "A B": " []", "A.B_": " []", "A." + strings.Repeat("B", 65): " []",
	} {
		trail, _ := trailOf(nil, cookie)
		if got := trail.browser + " [" + strings.Join(trail.backs, " ") + "]"; got != want {
			t.Errorf("%q: %s, want %s", cookie, got, want)
		}
	}
	if trail, set := trailOf(nil, "A.B", "A.C"); trail.browser != "" || len(trail.backs) > 0 || len(set) > 0 {
		t.Errorf("two cookies: %+v %v", trail, set)
	}
	for what, c := range map[string]struct {
		change func(*trail)
		want   []string // the new value, if it is set
	}{
		"nothing":         {nil, nil},
		"the same":        {func(t *trail) { t.add("B") }, nil},
		"another":         {func(t *trail) { t.add("C") }, []string{"A.C.B"}},
		"too many":        {func(t *trail) { t.add("C"); t.add("D"); t.add("E") }, []string{"A.E.D.C"}},
		"over":            {func(t *trail) { t.drop("B") }, []string{"A"}},
		"another's over":  {func(t *trail) { t.drop("C") }, nil},
		"all of it over":  {func(t *trail) { t.drop("B"); t.browser = "" }, []string{""}},
		"begun once more": {func(t *trail) { t.browser = "N" }, []string{"N.B"}},
	} {
		_, set := trailOf(c.change, "A.B")
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
