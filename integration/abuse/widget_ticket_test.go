// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"database/sql"
	"net/http"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // as package grants
)

// expireFlows has all flows of the database expire.
func (w *widgetRig) expireFlows() {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.database()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(w.t.Context(), "UPDATE journeys SET expires = 1000"); err != nil {
		w.t.Fatal(err)
	}
}

// TestT69_TicketOfANativeApp protects the one address that takes a token without a
// session: a ticket connects the person who asked for it and nobody else, once, in
// time, and from no page.
func TestT69_TicketOfANativeApp(t *testing.T) {
	w := startWidget(t, nil)
	for _, at := range widgetConnects {
		name := func(who string) string { return who + " of " + at }
		native := w.begin(at, name("alice"), `{"client":"native"}`)
		mallory := w.begin(at, name("mallory"), "")
		token := w.platform.Consent(native.user, "account of "+name("alice"))

		w.untouched("by a browser", func() {
			for _, line := range []string{"Origin: https://evil.example", "Origin: null", "Origin:", "Origin: " + w.URL(), "Sec-Fetch-Site: none", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: empty"} {
				w.wantRefused(line, native.post(token, line), http.StatusForbidden, "cross_origin")
				w.wantRefused(line+", signed in", native.post(token, line, native.session), http.StatusForbidden, "cross_origin")
			}
			preflight := w.send(http1("OPTIONS", native.redeem, w.authority(false), "Origin: https://evil.example", "Access-Control-Request-Method: POST"))
			if preflight.code() != "cross_origin" || preflight.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("a preflight: %d %v", preflight.status, preflight.header)
			}
		})
		w.untouched("by another method", func() {
			for _, method := range []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS"} {
				got := w.do(method, native.redeem, handover(token), jsonType)
				if w.wantRefused(method, got, http.StatusMethodNotAllowed, "method_not_allowed"); got.header.Get("Allow") != "POST" {
					t.Errorf("%s: Allow %q", method, got.header.Get("Allow"))
				}
			}
		})
		w.wantData("so far", native.session, "")

		// By another: whose session comes along says nothing.
		native.wantAccepted("with mallory's cookies", native.post(token, mallory.cookies()), "account of "+name("alice"))
		w.wantData("mallory", mallory.session, "")
		w.untouched("twice", func() {
			if got := native.post(token); got.status != http.StatusCreated || !strings.Contains(got.body, `"publicToken":"public-`) {
				t.Errorf("the same once more: %d %s", got.status, got.body)
			}
		})
		w.untouched("another token", func() {
			w.wantRefused("another token", native.post(w.platform.Consent(native.user, "other account")), http.StatusGone, "flow_expired")
		})

		late := w.begin(at, name("late"), `{"client":"native"}`)
		w.expireFlows()
		w.untouched("late", func() {
			w.wantRefused("late", late.post(w.platform.Consent(late.user, "late account")), http.StatusGone, "flow_expired")
		})
		w.wantData("late", late.session, "")
		w.begin(at, name("late"), `{"client":"native"}`).wantConnected("in time", "account of "+name("late"))
	}
}

// TestT44_NearMissesOfATicket protects tickets, and the cookie of a flow, from what
// is nearly one: only the whole value, as it was given out, counts.
func TestT44_NearMissesOfATicket(t *testing.T) {
	w := startWidget(t, nil)
	at := widgetConnects[0]
	native, page := w.begin(at, "alice", `{"client":"native"}`), w.begin(at, "bob", "")
	ticket := native.ticket()
	_, browserToken, _ := strings.Cut(page.cookie, "=")
	token, other := w.platform.Consent(native.user, "account of alice"), w.platform.Consent(page.user, "account of bob")
	near := func(value string) []string {
		return []string{
			strings.ToLower(value), value[:len(value)-1], value + "A", value[1:], value[:len(value)-1] + "!", value + "%00", value + "%20", value + "/", "%20" + value, value + "=",
			strings.Repeat(value, 2), strings.Repeat("A", len(value)), strings.Repeat("A", 5000), "*", "%25", "''", "..", "",
		}
	}
	w.untouched("tickets", func() {
		for _, value := range near(ticket) {
			got := w.do("POST", at+"/redeem/"+value, handover(token), jsonType)
			switch {
			case value == "..": // Caddy cleans it away
			case got.status == http.StatusTooManyRequests: // so many guesses from here
			case got.status != http.StatusGone || got.code() != "flow_expired":
				t.Errorf("%q: %d %s", value, got.status, got.body)
			}
		}
		for what, value := range map[string]string{"the browser's token": browserToken, "in the query": "?ticket=" + ticket} {
			if got := w.do("POST", at+"/redeem/"+value, handover(token), jsonType); got.status/100 != 4 {
				t.Errorf("%s: %d %s", what, got.status, got.body)
			}
		}
	})
	w.untouched("cookies", func() {
		for _, value := range append(near(browserToken), ticket) {
			got := page.post(other, page.session+"; delegate_widget="+value)
			if got.status != http.StatusGone || got.code() != "flow_expired" {
				t.Errorf("cookie %q: %d %s", value, got.status, got.body)
			}
		}
	})
	// The control, from the same address as all guesses.
	native.wantAccepted("the ticket", native.post(token), "account of alice")
	page.wantAccepted("the cookie", page.post(other), "account of bob")
}
