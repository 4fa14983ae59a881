// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestT67_ClientParameters protects people from clients that name a token of their own:
// in query and form, however a server might read the name, and in Authorization.
func TestT67_ClientParameters(t *testing.T) {
	r := newSignedRig(t, nil)
	r.connected()
	const form, denied = "application/x-www-form-urlencoded", delegation.RouteDenied
	for _, c := range []struct {
		query, contentType, body string
		want                     delegation.Code
	}{
		// The controls.
		{"a=1&a=1&b=&c&%C3%A4=%2B+%20&x=oauth_token", "", "", ""},
		{"", form, "a=1&b=x+y%20z&a=1", ""},
		{"", form + "; charset=UTF-8", "a=%C3%A4", ""},
		{"", "application/json", `{"oauth_token":"other"}`, ""},
		{"", "", "no type", ""},
		{"unoauth_token=1&oauth=2&token=3", "", "", ""},

		{"oauth_token=other", "", "", denied},
		{"a=1&oauth_signature=x", "", "", denied},
		{"a=1&OAuth_Token=x", "", "", denied},
		{"%6Fauth_token=x", "", "", denied},
		{"%256Fauth_token=x", "", "", denied},
		{"oauth.token=x", "", "", denied},
		{"oauth[token=x", "", "", denied},
		{"+oauth_token[]=x", "", "", denied},
		{"oauth_nonce", "", "", denied},
		{"access_token=x", "", "", denied},
		{"Acce\u017fs_To\u212aen=x", "", "", denied},
		{"", form, "a=1&oauth_token=other", denied},
		{"", "Application/X-WWW-Form-Urlencoded", "oauth_consumer_key=other", denied},
		{"", "text/plain, " + form, "a=1", denied},
		{"", "multipart/form-data; boundary=x", "--x--", denied},
		{"a=1;oauth_token=x", "", "", delegation.PathAmbiguous},
		{"a=%", "", "", delegation.PathAmbiguous},
		{"a=1#x", "", "", delegation.PathAmbiguous},
		{"a=1\x7f", "", "", delegation.PathAmbiguous},
		{"", form, "a=%zz", delegation.PathAmbiguous},
	} {
		req := r.outgoing("POST", "/weights", c.contentType, c.body)
		req.URL.RawQuery = c.query
		req.Header.Set("Authorization", `OAuth oauth_token="other"`)
		credential := r.authorize(delegated("/weights"))
		if c.want == "" {
			if status, stale := r.send(credential, req); status != http.StatusOK || stale {
				t.Errorf("%+v: status %d, stale %t", c, status, stale)
			}
			if calls := r.vendor.seen(); len(calls) != 1 || calls[0].protocol["oauth_token"] != canarySignedToken || calls[0].body != c.body || !strings.HasSuffix(calls[0].uri, "/weights"+strings.TrimRight("?"+c.query, "?")) {
				t.Errorf("%+v: the vendor got %+v", c, calls)
			}
			continue
		}
		if code, text := r.code(credential.Apply(req)); code != c.want {
			t.Errorf("%+v: %s", c, text)
		}
	}
	// A form that is not in memory.
	req := r.outgoing("POST", "/weights", form, "a=1")
	req.GetBody, req.ContentLength = nil, -1
	if code, text := r.code(r.authorize(delegated("/weights")).Apply(req)); code != delegation.BodyTooLarge {
		t.Error(text)
	}
	// Two types, of which a server may look at either.
	req = r.outgoing("POST", "/weights", form, "a=1")
	req.Header["Content-Type"] = append(req.Header["Content-Type"], "application/json")
	if code, text := r.code(r.authorize(delegated("/weights")).Apply(req)); code != denied {
		t.Error(text)
	}
}

// TestT67_AlteredAfterSigning protects requests on their way: whatever is changed once
// they are signed, the vendor refuses.
func TestT67_AlteredAfterSigning(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"unaltered": func(*http.Request) {},
		"query":     func(r *http.Request) { r.URL.RawQuery = "day=2" },
		"path":      func(r *http.Request) { r.URL.Path = "/api/all" },
		"method":    func(r *http.Request) { r.Method = http.MethodDelete },
		"signature": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), `oauth_signature="`, `oauth_signature="A`, 1))
		},
	} {
		r := newSignedRig(t, nil)
		r.connected()
		req := r.outgoing("GET", "/weights?day=1", "", "")
		if err := r.authorize(delegated("/weights")).Apply(req); err != nil {
			t.Fatal(err)
		}
		change(req)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if (res.StatusCode == http.StatusOK) != (name == "unaltered") {
			t.Errorf("%s: status %d", name, res.StatusCode)
		}
		// The same request once more is a replay.
		if again, err := http.DefaultClient.Do(req); err != nil || again.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: sent again: %v", name, err)
		}
	}
}

// TestOAuth1Reserved protects consents: no app reaches the vendor's own endpoints, with a
// person's signature least of all.
func TestOAuth1Reserved(t *testing.T) {
	r := newSignedRig(t, func(c *Config) { c.API.Path = "" })
	r.connected()
	for path, want := range map[string]delegation.Code{
		"/weights": "", "/oauth/request_token": delegation.RouteDenied, "/oauth/access_token": delegation.RouteDenied, "/OAuth//authorize": delegation.RouteDenied,
	} {
		_, err := r.Authorize(t.Context(), delegated(path))
		if code, text := r.code(err); code != want {
			t.Errorf("%s: %s", path, text)
		}
	}
}

// TestOAuth1Grant protects a source whose protocol was changed: the old grants are not
// signed with what they have not.
func TestOAuth1Grant(t *testing.T) {
	r := newSignedRig(t, nil)
	for _, g := range []*delegation.Grant{
		{Account: "1", Tokens: delegation.GrantTokens{Access: delegation.NewSecret("t")}},
		{Account: "1", Secret: delegation.NewSecret("s")},
	} {
		r.grants.current = g
		_, err := r.Authorize(t.Context(), delegated("/weights"))
		if code, text := r.code(err); code != delegation.GrantsUnavailable {
			t.Error(text)
		}
	}
}
