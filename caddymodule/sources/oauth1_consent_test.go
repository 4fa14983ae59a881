// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestOAuth1Legs protects the way of every person to an OAuth 1.0a source: three legs and
// a data call, each as its vendor wants it.
func TestOAuth1Legs(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"HMAC-SHA1":        func(*Config) {},
		"HMAC-SHA256":      func(c *Config) { c.Signature = "HMAC-SHA256" },
		"in the query":     func(c *Config) { c.SignatureInQuery = true },
		"callback at page": func(c *Config) { c.CallbackAtAuthorize = true },
		"parameters": func(c *Config) {
			c.AuthorizeParams = map[string]string{"perms": "read,write", "back": RedirectURI}
			c.AuthURL.RawQuery += "&oauth_token=pasted"
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c Config
			r := newSignedRig(t, func(config *Config) { change(config); c = *config })
			page, err := r.start()
			if err != nil {
				t.Fatal(r.code(err))
			}
			legs := r.vendor.seen()
			if len(legs) != 1 || (legs[0].protocol["oauth_callback"] == signedReturn) == c.CallbackAtAuthorize || legs[0].protocol["oauth_token"] != "" {
				t.Errorf("the first leg is %+v", legs)
			}
			u, err := url.Parse(page.URL)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			if u.Path != "/oauth/authorize" || q.Get("lang") != "en" || q.Get("oauth_token") != canaryRequestToken || len(q["oauth_token"]) != 1 || (q.Get("oauth_callback") == signedReturn) != c.CallbackAtAuthorize || strings.Contains(page.URL, url.QueryEscape(canaryRequest)) {
				t.Errorf("the page is %s", page.URL)
			}
			if c.AuthorizeParams != nil && (q.Get("perms") != "read,write" || q.Get("back") != signedReturn) {
				t.Errorf("the page is %s", page.URL)
			}
			result, err := r.redeem(page, redirected(canaryRequestToken, canaryVerifier), nil)
			if err != nil {
				t.Fatal(r.code(err))
			}
			if result.Account != "4711" || result.Scopes != nil || result.Secret.Reveal() != canaryTokenSecret || result.Tokens.Access.Reveal() != canarySignedToken || !result.Tokens.AccessExpires.IsZero() || result.Tokens.Refresh.Reveal() != "" {
				t.Errorf("%+v", result)
			}
			if legs := r.vendor.seen(); len(legs) != 1 || legs[0].protocol["oauth_token"] != canaryRequestToken || legs[0].protocol["oauth_verifier"] != canaryVerifier {
				t.Errorf("the third leg is %+v", legs)
			}
			r.connected()
			d := delegated("/weights")
			if status, stale := r.send(r.authorize(d), r.outgoing("GET", "/weights?day=2026-11-27", "", "")); status != http.StatusOK || stale {
				t.Errorf("a data call: status %d, stale %t", status, stale)
			}
			if d.Participant != "4711" || !d.Cached {
				t.Errorf("%+v", d)
			}
			if calls := r.vendor.seen(); len(calls) != 1 || calls[0].protocol["oauth_token"] != canarySignedToken || !strings.HasPrefix(calls[0].uri, "/api/weights?day=2026-11-27") || strings.Contains(calls[0].uri, "oauth_") != c.SignatureInQuery {
				t.Errorf("a data call: %+v", calls)
			}
			if r.Upstream(d).CredentialInURL != c.SignatureInQuery {
				t.Error("answers are searched for what was in the address where it was, and only there")
			}
		})
	}
}

// TestT67_Redirect protects accounts from being put under another user: what the
// browser brings has to be the flow's own token, with a verifier (T67).
func TestT67_Redirect(t *testing.T) {
	r := newSignedRig(t, nil)
	page, err := r.start()
	if err != nil {
		t.Fatal(err)
	}
	r.vendor.seen()
	twice := redirected(canaryRequestToken, canaryVerifier)
	twice.Add("oauth_verifier", "another")
	without := redirected(canaryRequestToken, canaryVerifier)
	without.Del("oauth_verifier")
	for name, handed := range map[string]url.Values{
		"no verifier":          without,
		"an empty verifier":    redirected(canaryRequestToken, ""),
		"two verifiers":        twice,
		"no token":             redirected("", canaryVerifier),
		"another flow's token": redirected("another-token", canaryVerifier),
		"a control character":  redirected(canaryRequestToken, "a\nb"),
		"a long verifier":      redirected(canaryRequestToken, strings.Repeat("x", maxToken+1)),
	} {
		if _, err := r.redeem(page, handed, nil); delegation.AsRefusal(err).Code != delegation.TokenRejected {
			t.Errorf("%s: %v", name, err)
		} else if code, text := r.code(err); code != delegation.TokenRejected {
			t.Errorf("%s: %s", name, text)
		}
	}
	// A vendor that reports a problem has ended the flow, whatever else it sends (T61).
	refused := redirected(canaryRequestToken, canaryVerifier)
	refused.Set("oauth_problem", "permission_denied")
	if _, err := r.redeem(page, refused, nil); delegation.AsRefusal(err).Code != delegation.ConsentDenied {
		t.Errorf("permission_denied: %v", err)
	}
	refused.Set("oauth_problem", "canary")
	_, err = r.redeem(page, refused, nil)
	if code, text := r.code(err); code != delegation.ConsentDenied {
		t.Errorf("a problem of its own: %s", text)
	}
	if calls := r.vendor.seen(); len(calls) != 0 {
		t.Errorf("the vendor was asked: %+v", calls)
	}
	if _, err := r.redeem(page, redirected(canaryRequestToken, "forged"), nil); delegation.AsRefusal(err).Code != delegation.TokenRejected {
		t.Errorf("a forged verifier: %v", err)
	}
	if _, err := r.redeem(page, redirected(canaryRequestToken, canaryVerifier), nil); err != nil {
		t.Errorf("the flow's own: %v", err)
	}
	if _, err := r.redeem(&delegation.ConsentPage{}, redirected(canaryRequestToken, canaryVerifier), nil); delegation.AsRefusal(err).Code != delegation.FlowExpired {
		t.Errorf("a flow of other settings: %v", err)
	}
	// A verifier may be a short number: one flow's must not be another's one-time token.
	first, _ := r.hooks().OneTimeToken(redirected("a", "1234"))
	second, _ := r.hooks().OneTimeToken(redirected("b", "1234"))
	if first.Equal(second) {
		t.Error("two flows with the same verifier have the same one-time token")
	}
}

// TestOAuth1Refusals protects the operator, who is told what to mend, and people, whose
// flow ends only by what is about them.
func TestOAuth1Refusals(t *testing.T) {
	r := newSignedRig(t, nil)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	good, err := r.start()
	if err != nil {
		t.Fatal(err)
	}
	confirmed := "oauth_token=canary-t&oauth_token_secret=canary-s&oauth_callback_confirmed="
	for name, c := range map[string]struct {
		answer        http.HandlerFunc
		start, redeem delegation.Code
	}{
		"401":               {answer(401, "canary"), delegation.CredentialsRejected, delegation.TokenRejected},
		"400":               {answer(400, "canary"), delegation.CredentialsRejected, delegation.TokenRejected},
		"client":            {answer(401, "oauth_problem=consumer_key_unknown"), delegation.CredentialsRejected, delegation.CredentialsRejected},
		"return address":    {answer(400, "oauth_problem=parameter_rejected"), delegation.CredentialsRejected, delegation.CredentialsRejected},
		"token":             {answer(401, "oauth_problem=token_used"), delegation.CredentialsRejected, delegation.TokenRejected},
		"denied":            {answer(401, "oauth_problem=permission_denied"), delegation.CredentialsRejected, delegation.ConsentDenied},
		"timestamp":         {answer(401, "oauth_problem=timestamp_refused"), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"404":               {answer(404, "canary"), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"429":               {answer(429, "canary"), delegation.IssuerThrottled, delegation.IssuerThrottled},
		"500":               {answer(500, "oauth_problem=token_rejected"), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"redirect":          {answer(302, ""), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"page":              {answer(200, "<html>canary"), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"JSON":              {answer(200, `{"oauth_token":"canary"}`), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"no secret":         {answer(200, "oauth_token=canary"), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"two tokens":        {answer(200, confirmed+"true&oauth_token=b"), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"too large":         {answer(200, confirmed+"true&a="+strings.Repeat("x", maxAnswer)), delegation.IssuerUnavailable, delegation.IssuerUnavailable},
		"revision before A": {answer(200, confirmed+"false&userid=1"), delegation.CredentialsRejected, ""},
	} {
		r.vendor.set(func(v *oauth1Vendor) { v.answer = c.answer })
		_, err := r.start()
		if code, text := r.code(err); code != c.start || !strings.HasPrefix(text, fmt.Sprintf("%s: request_token_url: ", c.start)) {
			t.Errorf("%s: the first leg: %s", name, text)
		}
		_, err = r.redeem(good, redirected(canaryRequestToken, canaryVerifier), nil)
		if code, text := r.code(err); code != c.redeem || code != "" && !strings.HasPrefix(text, fmt.Sprintf("%s: access_token_url: ", c.redeem)) {
			t.Errorf("%s: the third leg: %s", name, text)
		}
		if refusal := delegation.AsRefusal(err); c.redeem == delegation.IssuerThrottled && refusal.RetryAfter.Seconds() != 7 {
			t.Errorf("%s: again after %s", name, refusal.RetryAfter)
		}
	}
	r.vendor.server.Close()
	_, err = r.start()
	if code, text := r.code(err); code != delegation.IssuerUnavailable {
		t.Errorf("a vendor that is down: %s", text)
	}
}
