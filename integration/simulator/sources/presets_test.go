// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Every preset must lead from the page to data: one that nobody can connect tests
// nothing.
func TestPresetsConnect(t *testing.T) {
	for _, preset := range Presets() {
		v := newVendor(t, preset)
		s := v.Settings()
		if s.Protocol == OAuth1 || s.Protocol == SMART || s.Envelope != "" || s.APIHeaders != nil || s.Paths.Register != "" {
			continue // these have tests of their own
		}
		var more []string
		if s.Refresh == "google" {
			more = []string{"access_type=offline"}
		}
		tokens := v.connect(more...)
		if r := v.get(s.Paths.Data+"/sleep", tokens.text("access_token")); r.status != http.StatusOK || r.text("account") != v.accounts[0].ID {
			t.Errorf("%s: data: status %d, %.100s", preset, r.status, r.body)
		}
		if s.Paths.Account != "" {
			if r := v.get(s.Paths.Account, tokens.text("access_token")); !strings.Contains(r.body, v.accounts[0].ID) {
				t.Errorf("%s: account: status %d, %s", preset, r.status, r.body)
			}
		}
		if r := v.refresh(tokens.text("refresh_token")); r.status != http.StatusOK || r.text("access_token") == "" {
			t.Errorf("%s: refresh: status %d, %s", preset, r.status, r.body)
		}
	}
}

// Withings answers all with 200: what a client makes of it is in the body.
func TestWithings(t *testing.T) {
	v := newVendor(t, "withings")
	if q := v.decide(v.authorize("code_challenge="+challenge(verifier), "code_challenge_method=S256"), Decision{}); q.Get("error") != "invalid_request" {
		t.Errorf("PKCE: %v", q)
	}
	if r := v.redeem(v.code(), "action"); r.status != http.StatusOK || r.json["status"] != 2554.0 {
		t.Errorf("without action: %s", r.body)
	}
	tokens := v.connect("scope=user.info,user.metrics")
	body, _ := tokens.json["body"].(map[string]any)
	access, _ := body["access_token"].(string)
	if tokens.json["status"] != 0.0 || body["userid"] != v.accounts[0].ID || body["scope"] != "user.info,user.metrics" || body["expires_in"] != 10800.0 {
		t.Fatalf("%s", tokens.body)
	}
	measure := v.send(http.MethodPost, "/measure", "action=getmeas", "Content-Type: application/x-www-form-urlencoded", "Authorization: Bearer "+access)
	if measure.status != http.StatusOK || !strings.Contains(measure.body, v.accounts[0].ID) {
		t.Errorf("data: %s", measure.body)
	}
	if r := v.get("/sleep", access); r.status != http.StatusForbidden || !strings.Contains(r.header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("another scope: %s", r.body)
	}
	if r := v.refresh("x"); r.status != http.StatusOK || r.json["status"] != 503.0 {
		t.Errorf("unknown refresh token: %s", r.body)
	}
}

// Withings' revocation is signed over a nonce, which is good once.
func TestWithingsRevoke(t *testing.T) {
	v := newVendor(t, "withings")
	body, _ := v.connect().json["body"].(map[string]any)
	access, _ := body["access_token"].(string)
	kind := "Content-Type: application/x-www-form-urlencoded"
	if r := v.send(http.MethodPost, "/v2/signature", url.Values{"action": {"getnonce"}, "client_id": {clientID}}.Encode(), kind); r.json["status"] != 401.0 {
		t.Errorf("a nonce without a signature: %s", r.body)
	}
	now := strconv.FormatInt(v.clock().Unix(), 10)
	first := hmac.New(sha256.New, []byte(clientSecret))
	_, _ = first.Write([]byte("getnonce," + clientID + "," + now))
	asked := v.send(http.MethodPost, "/v2/signature", url.Values{
		"action": {"getnonce"}, "client_id": {clientID}, "timestamp": {now}, "signature": {hex.EncodeToString(first.Sum(nil))},
	}.Encode(), kind)
	inner, _ := asked.json["body"].(map[string]any)
	nonce, _ := inner["nonce"].(string)
	mac := hmac.New(sha256.New, []byte(clientSecret))
	_, _ = mac.Write([]byte("revoke," + clientID + "," + nonce))
	revoke := url.Values{
		"action": {"revoke"}, "client_id": {clientID}, "userid": {v.accounts[0].ID}, "nonce": {nonce}, "signature": {hex.EncodeToString(mac.Sum(nil))},
	}
	wrong := url.Values{"action": {"revoke"}, "client_id": {clientID}, "userid": {v.accounts[0].ID}, "nonce": {nonce}, "signature": {"x"}}
	if r := v.send(http.MethodPost, "/v2/oauth2", wrong.Encode(), kind); r.json["status"] != 401.0 {
		t.Errorf("wrong signature: %s", r.body)
	}
	if r := v.send(http.MethodPost, "/v2/oauth2", revoke.Encode(), kind); r.json["status"] != 0.0 || v.Counts().Revoked != 1 {
		t.Errorf("%s", r.body)
	}
	if r := v.send(http.MethodPost, "/v2/oauth2", revoke.Encode(), kind); r.json["status"] == 0.0 {
		t.Errorf("again: %s", r.body)
	}
	if r := v.get("/sleep", access); r.status != http.StatusUnauthorized {
		t.Errorf("data: %s", r.body)
	}
}

// Google gives a refresh token at the first consent, and later only if the client
// has the person asked again.
func TestGoogleConsent(t *testing.T) {
	v := newVendor(t, "google_health")
	if r := v.connect(); r.text("refresh_token") != "" {
		t.Errorf("without access_type=offline: %s", r.body)
	}
	v.Withdraw("")
	first := v.connect("access_type=offline")
	kept := first.text("refresh_token")
	if kept == "" {
		t.Fatalf("the first consent: %s", first.body)
	}
	if r := v.connect("access_type=offline"); r.text("refresh_token") != "" {
		t.Errorf("a second consent: %s", r.body)
	}
	if r := v.connect("access_type=offline", "prompt=consent"); r.text("refresh_token") == "" {
		t.Errorf("prompt=consent: %s", r.body)
	}
	for range 2 { // it is kept, and the reply has none
		if r := v.refresh(kept); r.status != http.StatusOK || r.text("refresh_token") != "" {
			t.Errorf("refresh: %s", r.body)
		}
	}
	scopes := v.Settings().Scopes
	code := v.decide(v.authorize("access_type=offline", "prompt=consent"), Decision{Untick: scopes[1:2]}).Get("code")
	less := v.redeem(code)
	if less.text("scope") != scopes[0]+" "+scopes[2] {
		t.Errorf("unticked: %s", less.body)
	}
	if r := v.get("/v4/users/me/sleep", less.text("access_token")); r.status != http.StatusForbidden {
		t.Errorf("unticked: status %d", r.status)
	}
	// A revocation ends the other consents of the account too.
	if r := v.send(http.MethodPost, "/revoke?token="+url.QueryEscape(less.text("access_token")), ""); r.status != http.StatusOK {
		t.Errorf("revoke: %s", r.body)
	}
	if r := v.refresh(kept); r.text("error") != "invalid_grant" {
		t.Errorf("after it: %s", r.body)
	}
}

// Strava tells the scopes in the redirect, the end as a time, and the account as a
// number which floating point cannot hold.
func TestStrava(t *testing.T) {
	v := newVendor(t, "strava")
	q := v.decide(v.authorize(), Decision{Account: v.accounts[1].ID, Untick: []string{"profile:read_all"}})
	if q.Get("scope") != "read,activity:read_all" {
		t.Errorf("redirect: %v", q)
	}
	tokens := v.redeem(q.Get("code"))
	if !strings.Contains(tokens.body, `"athlete":{"firstname":"Ben","id":`+v.accounts[1].ID+`}`) || tokens.text("scope") != "" || tokens.json["expires_at"] != float64(v.now.Add(6*time.Hour).Unix()) {
		t.Errorf("%s", tokens.body)
	}
	again := v.refresh(tokens.text("refresh_token"))
	if again.status != http.StatusOK || strings.Contains(again.body, "athlete") {
		t.Errorf("refresh: %s", again.body)
	}
	if r := v.get("/api/v3/activities?limit=2", again.text("access_token")); !strings.Contains(r.text("next"), v.base+"/api/v3/activities?limit=2&offset=2") {
		t.Errorf("data: %s", r.body)
	}
	form := url.Values{"token": {again.text("access_token")}, "token_type_hint": {"access_token"}}
	if r := v.send(http.MethodPost, "/oauth/revoke", form.Encode(), "Content-Type: application/x-www-form-urlencoded", basicHeader(clientID, clientSecret)); r.status != http.StatusOK || v.Counts().Revoked != 1 {
		t.Errorf("revoke: %s", r.body)
	}
}

// Polar has no data of whom the client has not registered, and no refresh token.
func TestPolar(t *testing.T) {
	v := newVendor(t, "polar")
	tokens := v.connect()
	access := tokens.text("access_token")
	if tokens.text("refresh_token") != "" || !strings.Contains(tokens.body, `"x_user_id":`+v.accounts[0].ID) {
		t.Errorf("%s", tokens.body)
	}
	if r := v.get("/v3/exercises", access); r.status != http.StatusForbidden {
		t.Errorf("before: status %d", r.status)
	}
	register := func(body string) response {
		return v.send(http.MethodPost, "/v3/users", body, "Content-Type: application/json", "Authorization: Bearer "+access)
	}
	for _, tt := range []struct {
		body string
		want int
	}{{`{}`, http.StatusBadRequest}, {`{"member-id":"m"}`, http.StatusOK}, {`{"member-id":"m"}`, http.StatusConflict}} {
		if r := register(tt.body); r.status != tt.want {
			t.Errorf("register %s: status %d, %s", tt.body, r.status, r.body)
		}
	}
	if r := v.get("/v3/exercises", access); r.status != http.StatusOK {
		t.Errorf("then: %s", r.body)
	}
	if r := v.send(http.MethodDelete, "/v3/users/"+v.accounts[1].ID, "", "Authorization: Bearer "+access); r.status != http.StatusForbidden {
		t.Errorf("another's account: status %d", r.status)
	}
	if r := v.send(http.MethodDelete, "/v3/users/"+v.accounts[0].ID, "", "Authorization: Bearer "+access); r.status != http.StatusNoContent {
		t.Errorf("deregister: status %d", r.status)
	}
	if r := v.get("/v3/exercises", access); r.status != http.StatusUnauthorized {
		t.Errorf("after: status %d", r.status)
	}
	if n := v.Counts(); n.Registrations != 1 || n.Revoked != 1 {
		t.Errorf("%+v", n)
	}
}
