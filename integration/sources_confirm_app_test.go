// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// TestT63_App protects users of apps that end a flow with a handle: the account that
// waits is told to the app that has the handle, and decided on by it, once, by the user
// who began and nobody else.
func TestT63_App(t *testing.T) {
	c := startSources(t, revokeLines, thenNative)
	app, b := c.browser("alice"), c.browser("")
	c.connects(app, "city_lab", c.city, 1)
	page := c.opensTicket(b, c.tickets(app, "city_lab", `{"client":"native"}`))
	_, handle := c.returnsToApp(b, c.decides(c.city, page, sources.Decision{Account: accountID(2)}))
	a := c.finishes(app, handle)
	for _, want := range []string{`"status":"confirm"`, `"account":"cleo@people.example"`, `"current_account":"ben@people.example"`} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("finished: %d %s", a.StatusCode, a.body)
		}
	}
	c.is(app, "city_lab", "connected ben@people.example  disconnect") // without the handle
	c.serves(app, 1)
	decides := func(app *browser, source, handle string) answer {
		return app.do(http.MethodPost, "/connect/confirm/"+source, `{"replace":true,"handle":"`+handle+`"}`, "Content-Type", jsonType)
	}
	isCode(t, decides(c.browser("mallory"), "city_lab", handle), http.StatusGone, "flow_expired")
	isCode(t, decides(c.browser(""), "city_lab", handle), http.StatusUnauthorized, "session_required")
	isCode(t, decides(app, "harbor_lab", handle), http.StatusGone, "flow_expired")
	isCode(t, decides(app, "city_lab", "city_lab.X"), http.StatusGone, "flow_expired")
	c.serves(app, 1)
	if a := decides(app, "city_lab", handle); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"status":"connected"`) {
		t.Errorf("decided: %d %s", a.StatusCode, a.body)
	}
	c.serves(app, 2)
	isCode(t, decides(app, "city_lab", handle), http.StatusGone, "flow_expired")
	isCode(t, c.finishes(app, handle), http.StatusGone, "flow_expired")
	if got := c.alive(); got != "2" {
		t.Errorf("the vendor has consents of %s", got)
	}
}
