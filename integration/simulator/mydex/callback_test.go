// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func newServer(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// Every disorder a subscriber must withstand. Each is one switch away from the
// good callback, which the subscriber must accept.
func TestCallbackDisorders(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Settings)
		check  func(*testing.T, callbackCall, url.Values) bool
	}{
		"good": {func(*Settings) {}, func(_ *testing.T, c callbackCall, f url.Values) bool {
			return c.header.Get("Authentication") == Hash(token) && f.Get("connection_id") == "4020-45678"
		}},
		"wrong authentication": {func(s *Settings) { s.CallbackAuthentication = "wrong" }, func(_ *testing.T, c callbackCall, _ url.Values) bool {
			got := c.header.Get("Authentication")
			return len(got) == 128 && !strings.EqualFold(got, Hash(token))
		}},
		"no authentication": {func(s *Settings) { s.CallbackAuthentication = "absent" }, func(_ *testing.T, c callbackCall, _ url.Values) bool {
			return len(c.header.Values("Authentication")) == 0
		}},
		"authentication in capitals": {func(s *Settings) { s.CallbackAuthentication = "upper" }, func(_ *testing.T, c callbackCall, _ url.Values) bool {
			return c.header.Get("Authentication") == strings.ToUpper(Hash(token))
		}},
		"authentication twice": {func(s *Settings) { s.CallbackAuthentication = "twice" }, func(_ *testing.T, c callbackCall, _ url.Values) bool {
			return len(c.header.Values("Authentication")) == 2
		}},
		"connection_id of another connection": {func(s *Settings) { s.CallbackConnectionID = "nid" }, func(_ *testing.T, _ callbackCall, f url.Values) bool {
			return f.Get("connection_id") == "4020-145678" && f.Get("uid") == "4020"
		}},
		"connection_id of another member": {func(s *Settings) { s.CallbackConnectionID = "uid" }, func(_ *testing.T, _ callbackCall, f url.Values) bool {
			return f.Get("connection_id") == "14020-45678" && f.Get("uid") == "4020"
		}},
		"no connection_id": {func(s *Settings) { s.CallbackConnectionID = "absent" }, func(_ *testing.T, _ callbackCall, f url.Values) bool {
			return !f.Has("connection_id") && f.Has("uid")
		}},
		"no linking_token, no fields": {func(s *Settings) { s.CallbackOmits = []string{"linking_token", "fields"} }, func(_ *testing.T, c callbackCall, f url.Values) bool {
			return !f.Has("linking_token") && !strings.Contains(c.body, "fields") && f.Has("key")
		}},
		"JSON": {func(s *Settings) { s.CallbackEncoding = "json" }, func(t *testing.T, c callbackCall, _ url.Values) bool {
			var body struct {
				UID, MydexID, Key string
				ConnectionID      string `json:"connection_id"`
				LinkingToken      string `json:"linking_token"`
				Fields            map[string][][]map[string]access
			}
			if err := json.Unmarshal([]byte(c.body), &body); err != nil {
				t.Error(err)
			}
			return c.header.Get("Content-Type") == "application/json" && body.UID == "4020" && len(body.Key) == 32 && body.MydexID == "Robin101" &&
				body.ConnectionID == "4020-45678" && body.LinkingToken == "opaque+1&é" && body.Fields["ds_referrals"][0][0]["access"]["r"]["a"] == "1"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			p.Set(tt.change)
			p.agree(p.link(nil), robin)
			calls := p.subscriber.received()
			if len(calls) != 1 {
				t.Fatalf("%d callbacks", len(calls))
			}
			form, _ := url.ParseQuery(calls[0].body)
			if !tt.check(t, calls[0], form) {
				t.Errorf("callback %+v", calls[0])
			}
		})
	}
}

// A browser that is back before the callback, callbacks that come twice, in
// the wrong order, or never. Nothing comes but when the test says so.
func TestCallbackOrder(t *testing.T) {
	p := newPlatform(t)
	uids := func() (list []string) {
		for _, c := range p.subscriber.received() {
			f, _ := url.ParseQuery(c.body)
			list = append(list, f.Get("uid"))
		}
		return list
	}
	want := func(want ...string) {
		t.Helper()
		if got := uids(); !reflect.DeepEqual(got, want) {
			t.Fatalf("callbacks of %v, want %v", got, want)
		}
	}
	p.Set(func(s *Settings) { s.Callback = "never" })
	p.agree(p.link(nil), robin)
	if p.Held() != 0 || len(p.Deliver()) != 0 {
		t.Error("something is held back")
	}
	want()

	p.Set(func(s *Settings) { s.Callback, s.DeliverReversed = "held", true })
	p.agree(p.link(nil), robin)
	p.agree(p.link(nil), wren)
	if want(); p.Held() != 2 || len(p.Deliveries()) != 0 {
		t.Errorf("%d held", p.Held())
	}
	if sent := p.Deliver(); len(sent) != 2 || sent[0].UID != wren.UID || sent[0].Status != 200 {
		t.Errorf("sent %+v", sent)
	}
	want("4021", "4020")
	if len(p.Deliver()) != 0 {
		t.Error("delivered again")
	}

	p.Set(func(s *Settings) { s.Callback, s.CallbackCopies = "before", 2 })
	p.agree(p.link(nil), robin)
	want("4021", "4020", "4020", "4020")
	calls := p.subscriber.received()
	if calls[2].body != calls[3].body || p.Counts().Deliveries != 4 {
		t.Error("the copies differ")
	}

	p.Set(func(s *Settings) { s.Callback = "held" })
	p.agree(p.link(nil), robin)
	if p.Reset(); p.Held() != 0 || len(p.Deliveries()) != 0 {
		t.Error("reset left something")
	}
}

// What the callback URL answered must be known, and must not keep the member
// from getting back.
func TestCallbackAnswers(t *testing.T) {
	p := newPlatform(t)
	elsewhere := p.subscriber.url
	redirecting := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	}))
	p.subscriber.answer(http.StatusUnauthorized)
	p.agree(p.link(nil), robin)
	p.SetCallbackURL(redirecting)
	p.agree(p.link(nil), robin)
	p.SetCallbackURL("")
	p.agree(p.link(nil), robin)
	d := p.Deliveries()
	if len(d) != 3 || d[0].Status != 401 || d[1].Status != 307 || d[2].Status != 0 || d[2].Error == "" {
		t.Errorf("deliveries %+v", d)
	}
	if n := len(p.subscriber.received()); n != 1 {
		t.Errorf("%d callbacks: a redirect was followed", n)
	}
}

func TestNotification(t *testing.T) {
	p := newPlatform(t)
	d := p.Notify(robin.UID, Notification{Message: "New", Dataset: "ds_referrals", UpdatedID: "7"})
	if d.Status != 200 || d.Kind != "notification" || len(p.Deliveries()) != 1 {
		t.Errorf("delivery %+v", d)
	}
	got := p.subscriber.received()[0]
	want := `{"action":"create","connection_id":"4020-45678","dataset":"ds_referrals","message":"New","type":"notification","uid":"4020","updated_id":"7"}`
	if got.method != "POST" || got.body != want || got.header.Get("Content-Type") != "application/json" || got.header.Get("Authentication") != Hash(token) {
		t.Errorf("notification %+v", got)
	}
	p.Set(func(s *Settings) { s.BareNotifications, s.CallbackConnectionID = true, "nid" })
	p.Notify(robin.UID, Notification{Action: "update"})
	got = p.subscriber.received()[1]
	if got.header.Get("Authentication") != "" || !strings.Contains(got.body, `"action":"update"`) || !strings.Contains(got.body, "4020-145678") {
		t.Errorf("notification %+v", got)
	}
}
