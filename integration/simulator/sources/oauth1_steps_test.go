// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The steps must hang together: callback, request token and verifier, each once.
func TestOAuth1Steps(t *testing.T) {
	v := newVendor(t, "old_lab")
	for name, change := range map[string][]string{
		"no callback":       nil,
		"another callback":  {"oauth_callback=https://evil.example/"},
		"out of band":       {"oauth_callback=oob"},
		"callback unsigned": {"oauth_callback=" + redirectURI, "oauth_token=x"},
	} {
		s := v.signer("", "")
		s.change = change
		if r := v.signedSend(http.MethodPost, "/oauth1/request_token", "", s); r.status != http.StatusBadRequest {
			t.Errorf("%s: status %d, %s", name, r.status, r.body)
		}
	}
	if _, err := v.Decide(v.base+"/oauth1/authorize?oauth_token=x", Decision{}); err == nil {
		t.Error("an unknown request token opens the page")
	}
	request, requestSecret := v.requestToken()
	page := v.base + "/oauth1/authorize?oauth_token=" + request
	if _, err := v.Decide(page+"&oauth_callback="+url.QueryEscape("https://evil.example/"), Decision{}); err == nil {
		t.Error("another callback on the page is taken")
	}
	redeem := func(verifier string) response {
		s := v.signer(request, requestSecret)
		s.change = []string{"oauth_verifier=" + verifier}
		return v.signedSend(http.MethodPost, "/oauth1/access_token", "", s)
	}
	if r := redeem("x"); r.form().Get("oauth_problem") != "permission_unknown" {
		t.Errorf("before the person has decided: %s", r.body)
	}
	verifier := v.decide(page, Decision{}).Get("oauth_verifier")
	if _, err := v.Decide(page, Decision{}); err == nil {
		t.Error("the page opens again")
	}
	for _, wrong := range []string{"", "x"} {
		if r := redeem(wrong); r.form().Get("oauth_problem") != "verifier_invalid" {
			t.Errorf("verifier %q: %s", wrong, r.body)
		}
	}
	if r := redeem(verifier); r.status != http.StatusOK || strings.Contains(r.body, requestSecret) {
		t.Errorf("%s", r.body)
	}
	if r := redeem(verifier); r.form().Get("oauth_problem") != "token_used" {
		t.Errorf("again: %s", r.body)
	}
	if n := v.Counts(); n.Codes != 5 || n.Redeemed != 1 || n.RequestTokens != 5 {
		t.Errorf("%+v", n)
	}
}

// The ways in which vendors depart from RFC 5849.
func TestOAuth1Quirks(t *testing.T) {
	v := newVendor(t, "old_lab")
	v.Set(func(s *Settings) { s.OAuth1.CallbackAtAuthorize, s.OAuth1.Unconfirmed = true, true })
	request, _ := v.requestToken()
	page := v.base + "/oauth1/authorize?oauth_token=" + request
	if _, err := v.Decide(page, Decision{}); err == nil {
		t.Error("no callback anywhere is taken")
	}
	page += "&oauth_callback=" + url.QueryEscape(redirectURI)
	if q := v.decide(page, Decision{}); q.Get("oauth_verifier") == "" || q.Get("kept") != "1" {
		t.Errorf("callback on the page: %v", q)
	}
	v.Set(func(s *Settings) { s.OAuth1.CallbackAtAuthorize, s.OAuth1.NoVerifier = false, true })
	request, _ = v.requestToken()
	if q := v.decide(v.base+"/oauth1/authorize?oauth_token="+request, Decision{}); q.Has("oauth_verifier") || q.Get("oauth_token") != request {
		t.Errorf("no verifier: %v", q)
	}
	for way, want := range map[string]string{"": "oauth_problem", "denied": "denied", "error": "error"} {
		v.Set(func(s *Settings) { s.OAuth1.Denied = way })
		request, _ = v.requestToken()
		if q := v.decide(v.base+"/oauth1/authorize?oauth_token="+request, Decision{Deny: true}); !q.Has(want) || q.Has("oauth_verifier") {
			t.Errorf("declined, %q: %v", way, q)
		}
	}
}

// A consent of OAuth 1.0a ends at the vendor, and by the client.
func TestOAuth1Ends(t *testing.T) {
	v := newVendor(t, "old_lab")
	s := v.signer(v.connect1())
	v.Withdraw(v.accounts[0].ID)
	if r := v.signedSend(http.MethodGet, "/v1/me", "", s); r.status != http.StatusUnauthorized || r.form().Get("oauth_problem") != "token_rejected" {
		t.Errorf("withdrawn: %s", r.body)
	}
	s = v.signer(v.connect1())
	if r := v.signedSend(http.MethodGet, "/v1/me", "", s); r.text("id") != v.accounts[0].ID {
		t.Errorf("account: %s", r.body)
	}
	if r := v.signedSend(http.MethodDelete, "/v1/registration", "", s); r.status != http.StatusNoContent || v.Counts().Revoked != 1 {
		t.Errorf("end: status %d, %s", r.status, r.body)
	}
	if r := v.signedSend(http.MethodGet, "/v1/me", "", s); r.status != http.StatusUnauthorized {
		t.Errorf("after: %s", r.body)
	}
}
