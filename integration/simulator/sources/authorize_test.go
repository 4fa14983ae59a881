// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What a vendor does not know must not lead the browser anywhere: the redirect URI
// could be an attacker's.
func TestAuthorizeWithoutRedirect(t *testing.T) {
	v := newVendor(t, CityLab)
	for name, change := range map[string]string{
		"another redirect URI": "redirect_uri=https://app.example.org/connect/return/lab?kept=2",
		"no redirect URI":      "redirect_uri",
		"unknown client":       "client_id=client",
		"state twice":          "+state=another",
	} {
		r := v.send(http.MethodGet, v.authorize(change), "")
		if r.status != http.StatusBadRequest || r.header.Get("Location") != "" || !strings.Contains(r.body, `id="reason"`) {
			t.Errorf("%s: status %d, Location %q", name, r.status, r.header.Get("Location"))
		}
	}
}

// What the client has done wrong is told to it, with its state.
func TestAuthorizeRedirectsErrors(t *testing.T) {
	v := newVendor(t, CityLab)
	for name, tt := range map[string]struct{ change, want string }{
		"no PKCE":           {"code_challenge", "invalid_request"},
		"plain PKCE":        {"code_challenge_method=plain", "invalid_request"},
		"bad challenge":     {"code_challenge=short", "invalid_request"},
		"token flow":        {"response_type=token", "unsupported_response_type"},
		"unknown scope":     {"scope=results.write", "invalid_scope"},
		"scope twice":       {"scope=results.read results.read", "invalid_scope"},
		"commas for spaces": {"scope=results.read,activity.read", "invalid_scope"},
	} {
		r := v.send(http.MethodGet, v.authorize(tt.change), "")
		u, err := url.Parse(r.header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if r.status != http.StatusFound || q.Get("error") != tt.want || q.Get("state") != "state-0123456789" || q.Has("code") || q.Get("kept") != "1" {
			t.Errorf("%s: status %d, %v, want error %s", name, r.status, q, tt.want)
		}
	}
	if q := v.decide(v.authorize("state=short"), Decision{}); q.Get("error") != "invalid_request" || q.Get("state") != "short" {
		t.Errorf("a short state: %v", q)
	}
}

func TestDeny(t *testing.T) {
	v := newVendor(t, CityLab)
	v.Set(func(s *Settings) { s.Iss = "base/issuer" })
	q := v.decide(v.authorize(), Decision{Deny: true})
	if q.Get("error") != "access_denied" || q.Get("state") != "state-0123456789" || q.Get("iss") != v.base+"/issuer" || q.Has("code") {
		t.Errorf("%v", q)
	}
	if len(v.Grants()) != 0 {
		t.Errorf("grants: %+v", v.Grants())
	}
}

// The pages must lead through as [Vendor.Decide] does: the demo and the tests in a
// browser are made of them.
func TestPages(t *testing.T) {
	v := newVendor(t, "oura")
	page := v.send(http.MethodGet, v.authorize(), "")
	if page.status != http.StatusOK || !strings.Contains(page.body, "Study</strong> asks") || strings.Count(page.body, `class="account"`) != 3 {
		t.Fatalf("status %d: %s", page.status, page.body)
	}
	if h := page.header; h.Get("Cross-Origin-Opener-Policy") != "same-origin" || strings.Contains(h.Get("Content-Security-Policy"), "form-action") {
		t.Errorf("headers: %v", h)
	}
	flow := field(page.body, "flow")
	form := "Content-Type: application/x-www-form-urlencoded"
	page = v.send(http.MethodPost, "/vendor/account", url.Values{"flow": {flow}, "account": {v.accounts[1].ID}}.Encode(), form)
	cookie, _, _ := strings.Cut(page.header.Get("Set-Cookie"), ";")
	if cookie == "" || !strings.Contains(page.body, `<strong id="account">Ben</strong>`) || strings.Count(page.body, `type="checkbox"`) != 6 {
		t.Fatalf("cookie %q: %s", cookie, page.body)
	}
	decision := url.Values{"flow": {flow}, "decision": {"allow"}, "scope": {"daily", "workout"}}.Encode()
	if r := v.send(http.MethodPost, "/vendor/decision", decision, form); !strings.Contains(r.body, `class="account"`) {
		t.Errorf("a decision without a session: status %d, %s", r.status, r.body)
	}
	r := v.send(http.MethodPost, "/vendor/decision", decision, form, "Cookie: "+cookie)
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || r.status != http.StatusFound {
		t.Fatalf("status %d, %v", r.status, err)
	}
	tokens := v.redeem(to.Query().Get("code"))
	if tokens.text("scope") != "daily workout" {
		t.Errorf("tokens: %s", tokens.body)
	}
	if me := v.get("/v2/usercollection/personal_info", tokens.text("access_token")); me.text("id") != v.accounts[1].ID || me.text("name") != "Ben" {
		t.Errorf("account: %s", me.body)
	}
	if r := v.send(http.MethodPost, "/vendor/decision", decision, form, "Cookie: "+cookie); r.status != http.StatusBadRequest {
		t.Errorf("the same page again: status %d", r.status)
	}

	// The browser is remembered, as on a shared tablet, unless the client asks.
	if r := v.send(http.MethodGet, v.authorize(), "", "Cookie: "+cookie); !strings.Contains(r.body, `<strong id="account">Ben</strong>`) {
		t.Errorf("signed in: %s", r.body)
	}
	if r := v.send(http.MethodGet, v.authorize("prompt=login"), "", "Cookie: "+cookie); !strings.Contains(r.body, `class="account"`) {
		t.Errorf("prompt=login: %s", r.body)
	}
	page = v.send(http.MethodGet, v.authorize(), "", "Cookie: "+cookie)
	v.pass(flowLifetime)
	decision = url.Values{"flow": {field(page.body, "flow")}, "decision": {"allow"}}.Encode()
	if r := v.send(http.MethodPost, "/vendor/decision", decision, form, "Cookie: "+cookie); r.status != http.StatusBadRequest {
		t.Errorf("a page ten minutes old: status %d", r.status)
	}
}

// field is the value of a hidden field.
func field(page, name string) string {
	_, rest, _ := strings.Cut(page, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// Cookies and pages must not make a code good for longer than the vendor says.
func TestCodeExpires(t *testing.T) {
	v := newVendor(t, "withings")
	code := v.code()
	v.pass(29 * time.Second)
	if r := v.redeem(code); r.json["status"] != 0.0 {
		t.Errorf("after 29 s: %s", r.body)
	}
	code = v.code()
	v.pass(30 * time.Second)
	if r := v.redeem(code); r.json["status"] != 503.0 {
		t.Errorf("after 30 s: %s", r.body)
	}
}
