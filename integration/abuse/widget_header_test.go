// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/widget"
)

// TestT12_WidgetConnectionNamesHeaders protects against CVE-2024-45410 and
// CVE-2022-31813 where a token is handed over: what Connection names is read all the
// same where it stands against the request, and is missing where it speaks for it.
func TestT12_WidgetConnectionNamesHeaders(t *testing.T) {
	w := startWidget(t, nil)
	for n, lines := range [][]string{
		{"Connection: close, Origin, Sec-Fetch-Site, Content-Type, Content-Length"},
		{"Connection: close", "Connection: origin", "CONNECTION: Sec-Fetch-Site", "connection: x"},
		{"cOnNeCtIoN: oRiGiN,sEc-FeTcH-sItE"},
		{"Connection: Upgrade, Origin, Sec-Fetch-Site", "Upgrade: h2c"},
	} {
		at, user := widgetConnects[n%2], lines[0]
		alice := w.begin(at, user, "")
		native := alice.again(`{"client":"native"}`)
		token := w.platform.Consent(alice.user, "account of "+user)
		w.untouched(user, func() {
			for _, evil := range []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"} {
				w.wantRefused(user+", "+evil, alice.post(token, append(lines, alice.cookies(), evil)...), http.StatusForbidden, "cross_origin")
				w.wantRefused(user+", a ticket, "+evil, native.post(token, append(lines, evil)...), http.StatusForbidden, "cross_origin")
			}
			// Who is not signed in becomes nobody else.
			got := alice.post(token, append(lines, "Remote-User: "+user, "X-Remote-User: "+user, "Cookie: "+alice.cookie)...)
			w.wantRefused(user+", nobody", got, http.StatusUnauthorized, "session_required")
		})
		if n%2 == 0 {
			alice.wantAccepted(user, alice.post(token, append(lines, alice.cookies())...), "account of "+user)
		} else {
			native.wantAccepted(user, native.post(token, lines...), "account of "+user)
		}
	}
}

// TestT18_WidgetCookiesStayHere protects the app's session, and the cookie of a
// flow: neither reaches the platform with a data call, which has the one credential
// and no other, and no answer to a page has a secret of the exchange.
func TestT18_WidgetCookiesStayHere(t *testing.T) {
	w := startWidget(t, nil)
	at := widgetConnects[0]
	alice := w.begin(at, "alice", "")
	token := w.platform.Consent(alice.user, "account of alice")
	redeemed := alice.post(token)
	alice.wantAccepted("alice", redeemed, "account of alice")
	got := w.do("GET", "/data/x", "", alice.cookies(), "Authorization: Bearer mine", "X-CSRF-Token: 1", "Referer: "+w.URL()+alice.redeem)
	requests := w.platform.Requests()
	if got.status != http.StatusOK || len(requests) < 2 {
		t.Fatalf("control: %d %s, %d requests", got.status, got.body, len(requests))
	}
	last := requests[len(requests)-1]
	bearer := last.Header["Authorization"]
	if len(bearer) != 1 || !strings.HasPrefix(bearer[0], "Bearer access-") {
		t.Fatalf("the platform received the credentials %q", bearer)
	}
	for _, name := range []string{"Cookie", "Referer", "X-Csrf-Token", "Origin"} {
		if values := last.Header[name]; len(values) > 0 {
			t.Errorf("the platform received %s: %q", name, values)
		}
	}
	for what, answer := range map[string]reply{"redeem": redeemed, "data": got} {
		for kind, secret := range map[string]string{"access token": strings.TrimPrefix(bearer[0], "Bearer "), "special token": token, "client secret": widget.ClientSecret, "browser's token": alice.cookie} {
			if says(answer, secret) || strings.Contains(answer.body, secret) {
				t.Errorf("%s answers with the %s", what, kind)
			}
		}
	}
}
