// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestT49_WidgetOtherSitesPages protects people from pages of other sites that use
// their cookies: to begin a flow, to hand a token over, or to disconnect them, also
// by forms without script. Nothing is exchanged, nothing begun, and no answer can be
// read.
func TestT49_WidgetOtherSitesPages(t *testing.T) {
	w := startWidget(t, nil)
	const formType = "application/x-www-form-urlencoded"
	for n, at := range widgetConnects {
		user := "alice of " + at
		alice := w.begin(at, user, "")
		alice.wantConnected("alice", "account of "+user)
		alice = alice.again("")
		native := alice.again(`{"client":"native"}`)
		token := w.platform.Consent(alice.user, "account of "+user)
		for _, lines := range crossSiteHeaders(w.rig) {
			what := at + ", " + strings.Join(lines, ", ")
			stranger := append(slices.Clone(lines), alice.cookies())
			w.untouched(what, func() {
				for _, c := range []struct{ method, path, body, kind string }{
					{"POST", "/start", "", "text/plain"},
					{"POST", "/start", `{"client":"native"}`, "text/plain"},
					{"POST", "/start", "client=native", formType},
					{"POST", "/redeem", handover(token), "text/plain"},
					{"POST", "/redeem", handover(token), "application/json"},
					{"POST", "/redeem", "specialToken=" + token, formType},
					{"POST", strings.TrimPrefix(native.redeem, at), handover(token), "text/plain"},
					{"POST", strings.TrimPrefix(native.redeem, at), "specialToken=" + token, formType},
					{"POST", "/disconnect", "", formType},
					{"POST", "/disconnect", "_method=DELETE", formType},
					{"DELETE", "/", "", "text/plain"},
					{"GET", "/redeem?specialToken=" + token, "", "text/plain"},
					{"GET", "/disconnect", "", "text/plain"},
				} {
					got := w.do(c.method, at+c.path, c.body, append(stranger, "Content-Type: "+c.kind)...)
					w.wantRefused(c.method+" "+c.path+", "+what, got, http.StatusForbidden, "cross_origin")
					if got.header.Get("Access-Control-Allow-Origin")+got.header.Get("Location") != "" {
						t.Errorf("%s %s, %s: %v", c.method, c.path, what, got.header)
					}
				}
			})
		}
		w.untouched("preflights", func() {
			for _, path := range []string{"/start", "/redeem", strings.TrimPrefix(native.redeem, at), "/disconnect", "/"} {
				got := w.send(http1("OPTIONS", at+path, w.authority(false), "Origin: https://evil.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type", alice.cookies()))
				if got.code() != "cross_origin" || got.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("a preflight for %s: %d %s %v", path, got.status, got.body, got.header)
				}
			}
		})
		w.wantData("nothing was changed", alice.session, "account of "+user)
		// The control: the same from our own page; and at an endpoint written by hand.
		own := "Origin: " + w.URL()
		if n == 1 {
			own = "Sec-Fetch-Site: same-origin"
		}
		alice.wantAccepted("our own page", alice.post(token, alice.cookies(), own), "account of "+user)
		if got := w.do("POST", at+"/disconnect", "", own, alice.cookies(), "Content-Type: "+formType); got.status != http.StatusSeeOther || got.header.Get("Location") != "/profile?connect=none" {
			t.Errorf("our own page: %d %v", got.status, got.header)
		}
		w.wantData("disconnected", alice.session, "")
		w.byHand(at, alice.session, user, w.platform.Consent(alice.user, "account of "+user), "account of "+user, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
	}
}

// TestT47_WidgetRedirects protects against open redirects at the form that
// disconnects, and native apps from an address of another site to which they would
// post their token: both are the configured ones, whatever the request says.
func TestT47_WidgetRedirects(t *testing.T) {
	w := startWidget(t, func(text string) string {
		return strings.Replace(anyHost(text), "http://homemade.localhost:[[.Port]] {", "http://homemade.localhost:[[.Port]] {\n\tredir /disconnect https://{header.X-Forwarded-Host}/profile 303", 1)
	})
	for _, at := range widgetConnects {
		for name, send := range w.hosts() {
			user := name + at
			session := w.cookie(user)
			lines := []string{session}
			got := send("POST", at+"/start?url=//evil.example&redeem_url=https://evil.example", lines...)
			if got.status != http.StatusOK || says(got, "evil.example") || strings.Contains(strings.ToLower(got.header.Get("Set-Cookie")), "domain") {
				t.Errorf("start, %s: %d %v %s", name, got.status, got.header, got.body)
			}
			for _, query := range []string{"", "?then=https://evil.example", "?next=//evil.example&then=/%5cevil.example", "?connect=evil%0d%0aLocation:%20//evil.example"} {
				got := send("POST", at+"/disconnect"+query, lines...)
				if to := got.header["Location"]; got.status != http.StatusSeeOther || len(to) != 1 || to[0] != "/profile?connect=none" || says(got, "evil") {
					t.Errorf("disconnect%s, %s: %d to %q", query, name, got.status, to)
				}
			}
			for _, path := range []string{at + "/disconnect//evil.example", at + "/disconnect/..//evil.example", at + "/redeem//evil.example", at + "/connect.js//evil.example"} {
				if got := send("POST", path, lines...); got.status/100 == 3 || got.header.Get("Location") != "" || says(got, "evil.example") {
					t.Errorf("%s, %s: %d %v %s", path, name, got.status, got.header, got.body)
				}
			}
		}
		native := w.begin(at, "native"+at, `{"client":"native"}`) // it wants the configured address
		native.wantConnected(at, "account"+at)
	}
	got := w.send(http1("GET", "/disconnect", w.authority(true), "X-Forwarded-Host: evil.example"))
	if to := got.header.Get("Location"); to != "https://evil.example/profile" {
		t.Errorf("control: %d to %q", got.status, to)
	}
}
