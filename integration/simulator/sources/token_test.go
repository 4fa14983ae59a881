// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// Every departure from RFC 6749 and RFC 7636 must be refused, by its code and
// without an effect: a lax vendor would let the product pass tests that real
// ones fail.
func TestCodeStrict(t *testing.T) {
	for name, tt := range map[string]struct{ change, want string }{
		"no verifier":          {"code_verifier", "invalid_grant"},
		"wrong verifier":       {"code_verifier=" + verifier + "x", "invalid_grant"},
		"another redirect URI": {"redirect_uri=https://app.example.org/", "invalid_grant"},
		"no redirect URI":      {"redirect_uri", "invalid_grant"},
		"unknown code":         {"code=x", "invalid_grant"},
		"code twice":           {"+code=x", "invalid_request"},
		"another grant type":   {"grant_type=password", "unsupported_grant_type"},
		"secret twice":         {"client_secret=" + clientSecret, "invalid_request"},
		"another client's ID":  {"client_id=" + otherClient, "invalid_client"},
	} {
		v := newVendor(t, CityLab)
		code := v.code()
		if r := v.redeem(code, tt.change); r.status/100 != 4 || r.text("error") != tt.want || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, %s, want %s", name, r.status, r.body, tt.want)
		}
		if r := v.redeem(code); r.status != http.StatusOK {
			t.Errorf("%s: the code afterwards: %s", name, r.body)
		}
	}
}

func TestClientAuthentication(t *testing.T) {
	form := func(id, secret string) string {
		return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {id}, "client_secret": {secret}}.Encode()
	}
	v := newVendor(t, CityLab)
	kind := "Content-Type: application/x-www-form-urlencoded"
	for name, tt := range map[string]struct {
		body, header, want string
	}{
		"body":                {form(clientID, clientSecret), "X: x", "invalid_grant"}, // as far as it should get
		"wrong body":          {form(clientID, "x"), "X: x", "invalid_client"},
		"another's secret":    {form(otherClient, clientSecret), "X: x", "invalid_client"},
		"basic":               {"grant_type=refresh_token&refresh_token=x", basicHeader(clientID, clientSecret), "invalid_grant"},
		"wrong basic":         {"grant_type=refresh_token&refresh_token=x", basicHeader(clientID, "x"), "invalid_client"},
		"basic, not encoded":  {"grant_type=refresh_token&refresh_token=x", "Authorization: Basic Y2xpZW50OjE6aW52ZW50ZWQgc2VjcmV0KyUvMQ==", "invalid_client"},
		"both":                {form(clientID, clientSecret), basicHeader(clientID, clientSecret), "invalid_request"},
		"none":                {"grant_type=refresh_token&refresh_token=x&client_id=" + otherClient, "X: x", "invalid_client"},
		"bearer for basic":    {"grant_type=refresh_token&refresh_token=x", "Authorization: Bearer x", "invalid_client"},
		"a key it has not":    {"grant_type=refresh_token&refresh_token=x&client_assertion=x", "X: x", "invalid_client"},
		"parameters in query": {"", "X: x", "invalid_request"},
	} {
		target := "/oauth2/token"
		if tt.body == "" {
			target += "?" + form(clientID, clientSecret)
		}
		if r := v.send(http.MethodPost, target, tt.body, kind, tt.header); r.text("error") != tt.want {
			t.Errorf("%s: %s, want %s", name, r.body, tt.want)
		}
	}
	if n := v.Counts().WrongSecrets; n != 7 {
		t.Errorf("wrong secrets: %d", n)
	}
	if r := v.send(http.MethodGet, "/oauth2/token", ""); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", r.status)
	}
	if r := v.send(http.MethodPost, "/oauth2/token", `{"grant_type":"refresh_token"}`, "Content-Type: application/json"); r.text("error") != "invalid_request" {
		t.Errorf("JSON: %s", r.body)
	}
}

// A code that arrives again ends what came of it (RFC 6749 section 4.1.2): whoever
// redeems twice must see that people lose their consent by it.
func TestCodeReused(t *testing.T) {
	v := newVendor(t, CityLab)
	code := v.code()
	tokens := v.redeem(code)
	if r := v.get("/v1/measurements", tokens.text("access_token")); r.status != http.StatusOK {
		t.Fatalf("before: %s", r.body)
	}
	if r := v.redeem(code); r.text("error") != "invalid_grant" {
		t.Errorf("again: %s", r.body)
	}
	if r := v.get("/v1/measurements", tokens.text("access_token")); r.status != http.StatusUnauthorized {
		t.Errorf("access token: status %d", r.status)
	}
	if r := v.refresh(tokens.text("refresh_token")); r.text("error") != "invalid_grant" {
		t.Errorf("refresh token: %s", r.body)
	}
	if n := v.Counts(); n.Codes != 2 || n.Redeemed != 1 || n.CodesReused != 1 {
		t.Errorf("%+v", n)
	}
}

// A refresh token that is spent twice ends the consent: that is what the product's
// lease is there to prevent.
func TestRefreshReused(t *testing.T) {
	v := newVendor(t, CityLab)
	first := v.connect()
	second := v.refresh(first.text("refresh_token"))
	if second.status != http.StatusOK || second.text("refresh_token") == first.text("refresh_token") || second.text("scope") != first.text("scope") {
		t.Fatalf("%s", second.body)
	}
	if r := v.get("/v1/sleep", first.text("access_token")); r.status != http.StatusOK {
		t.Errorf("the access token before: status %d", r.status)
	}
	if r := v.refresh(first.text("refresh_token")); r.text("error") != "invalid_grant" {
		t.Errorf("the refresh token before: %s", r.body)
	}
	if r := v.refresh(second.text("refresh_token")); r.text("error") != "invalid_grant" {
		t.Errorf("the family: %s", r.body)
	}
	if r := v.get("/v1/sleep", second.text("access_token")); r.status != http.StatusUnauthorized {
		t.Errorf("access: status %d", r.status)
	}
	if n := v.Counts(); n.Refreshes != 3 || n.Refreshed != 1 || n.RefreshReused != 1 {
		t.Errorf("%+v", n)
	}
}

// The grace is that of Withings: eight hours, or until the next access token is used.
func TestRefreshGrace(t *testing.T) {
	v := newVendor(t, CityLab)
	v.Set(func(s *Settings) { s.Grace, s.GraceUntilUsed, s.ReuseEnds = 8*3600, true, false })
	first := v.connect()
	second := v.refresh(first.text("refresh_token")) // its answer is lost
	v.pass(7 * time.Hour)
	third := v.refresh(first.text("refresh_token"))
	if second.status != http.StatusOK || third.status != http.StatusOK || v.Counts().Graced != 1 {
		t.Fatalf("%s %s", second.body, third.body)
	}
	if r := v.get("/v1/sleep", third.text("access_token")); r.status != http.StatusOK {
		t.Errorf("access: %s", r.body)
	}
	for _, old := range []response{first, second} {
		if r := v.refresh(old.text("refresh_token")); r.text("error") != "invalid_grant" {
			t.Errorf("after use: %s", r.body)
		}
	}
	fourth := v.refresh(third.text("refresh_token"))
	if fourth.status != http.StatusOK {
		t.Fatalf("the latest: %s", fourth.body)
	}
	v.pass(8 * time.Hour)
	if r := v.refresh(third.text("refresh_token")); r.text("error") != "invalid_grant" {
		t.Errorf("after eight hours: %s", r.body)
	}
}

// Access tokens must end when they are said to, or sooner when a test wants it.
func TestAccessExpires(t *testing.T) {
	v := newVendor(t, CityLab)
	tokens := v.connect()
	v.pass(time.Hour - time.Second)
	if r := v.get("/v1/me", tokens.text("access_token")); r.status != http.StatusOK {
		t.Errorf("a second before: %s", r.body)
	}
	v.pass(time.Second)
	if r := v.get("/v1/me", tokens.text("access_token")); r.status != http.StatusUnauthorized || r.header.Get("WWW-Authenticate") == "" {
		t.Errorf("then: %s", r.body)
	}
	tokens = v.refresh(tokens.text("refresh_token"))
	v.ExpireAccess()
	if r := v.get("/v1/me", tokens.text("access_token")); r.status != http.StatusUnauthorized {
		t.Errorf("expired by hand: %s", r.body)
	}
	tokens = v.refresh(tokens.text("refresh_token"))
	for account, want := range map[string]int{v.accounts[1].ID: http.StatusOK, v.accounts[0].ID: http.StatusUnauthorized} {
		v.send(http.MethodPost, "/_simulator/expire", `{"accounts":["`+account+`"]}`)
		if r := v.get("/v1/me", tokens.text("access_token")); r.status != want {
			t.Errorf("expired by hand for %s: %d %s", account, r.status, r.body)
		}
		tokens = v.refresh(tokens.text("refresh_token"))
	}
	tokens = v.refresh(tokens.text("refresh_token"))
	v.Withdraw(v.accounts[0].ID)
	if r := v.refresh(tokens.text("refresh_token")); r.text("error") != "invalid_grant" {
		t.Errorf("withdrawn: %s", r.body)
	}
}
