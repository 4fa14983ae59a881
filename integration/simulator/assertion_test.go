// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Every violation of the assertion's rules that a real issuer refuses must be
// refused here, or a broken client would pass its tests.
func TestAssertionIsJudged(t *testing.T) {
	at := func(p *platform, d time.Duration) int64 { return p.clock().Add(d).Unix() }
	tests := map[string]struct {
		change func(*platform, map[string]any)
		reason string
	}{
		"iss is another":     {func(_ *platform, c map[string]any) { c["iss"] = "other" }, "iss is"},
		"sub is another":     {func(_ *platform, c map[string]any) { c["sub"] = "other" }, "sub is"},
		"aud is missing":     {func(_ *platform, c map[string]any) { delete(c, "aud") }, "aud is"},
		"aud has other host": {func(_ *platform, c map[string]any) { c["aud"] = "https://mydatahelps.org" + tokenPath }, "aud is"},
		"aud is https": {func(p *platform, c map[string]any) {
			c["aud"] = strings.Replace(p.url, "http:", "https:", 1) + tokenPath
		}, "aud is"},
		"aud is a list":   {func(p *platform, c map[string]any) { c["aud"] = []string{p.url + tokenPath} }, "aud is"},
		"exp is missing":  {func(_ *platform, c map[string]any) { delete(c, "exp") }, "exp is"},
		"exp is a string": {func(p *platform, c map[string]any) { c["exp"] = "1999999999" }, "exp is"},
		"exp is past":     {func(p *platform, c map[string]any) { c["exp"] = at(p, -time.Second) }, "ago"},
		"exp is too far":  {func(p *platform, c map[string]any) { c["exp"] = at(p, 302*time.Second) }, "ahead"},
		"exp is in ms":    {func(p *platform, c map[string]any) { c["exp"] = at(p, time.Minute) * 1000 }, "ahead"},
		"nbf is ahead":    {func(p *platform, c map[string]any) { c["nbf"] = at(p, time.Minute) }, "nbf"},
		"jti is missing":  {func(_ *platform, c map[string]any) { delete(c, "jti") }, "jti"},
		"jti is empty":    {func(_ *platform, c map[string]any) { c["jti"] = "" }, "jti"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			claims := p.claims()
			tt.change(p, claims)
			form := p.serviceForm()
			form.Set("client_assertion", sign(t, jose.RS256, accountKey(), claims))
			r := p.ask(form)
			if r.StatusCode != http.StatusBadRequest || r.json["error"] != "invalid_client" || len(r.json) != 1 {
				t.Errorf("answer %d %s", r.StatusCode, r.body)
			}
			if !strings.Contains(p.lastReason(), tt.reason) {
				t.Errorf("reason %q, want one with %q", p.lastReason(), tt.reason)
			}
		})
	}
}

// Algorithm confusion and foreign keys: the classic ways past a JWT check.
func TestSignatureIsJudged(t *testing.T) {
	p := newPlatform(t)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&accountKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, jose.RS256, accountKey(), p.claims())
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, assertion := range map[string]string{
		"foreign key":       sign(t, jose.RS256, foreign, p.claims()),
		"PS256":             sign(t, jose.PS256, accountKey(), p.claims()),
		"RS512":             sign(t, jose.RS512, accountKey(), p.claims()),
		"HMAC by the key":   sign(t, jose.HS256, der, p.claims()),
		"none":              none + "." + parts[1] + ".",
		"signature missing": parts[0] + "." + parts[1] + ".",
		"payload swapped":   parts[0] + "." + strings.Split(sign(t, jose.RS256, foreign, p.claims()), ".")[1] + "." + parts[2],
		"not a JWT":         "x",
		"empty":             "",
	} {
		form := p.serviceForm()
		form.Set("client_assertion", assertion)
		if r := p.ask(form); r.json["error"] != "invalid_client" {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
}

// A client that reuses its assertion works with a lenient issuer only.
func TestAssertionIsUsedOnce(t *testing.T) {
	p := newPlatform(t)
	form := p.serviceForm()
	wantStatus(t, p.ask(form), http.StatusOK)
	wantStatus(t, p.ask(form), http.StatusBadRequest)
}

// Clock trouble has to look as it does in the field: refused assertions, and
// a Date header that explains them.
func TestClockSkewShows(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.ClockSkew = 600 })
	r := p.ask(p.serviceForm())
	if r.json["error"] != "invalid_client" {
		t.Errorf("an assertion of 200 s with an issuer 600 s ahead: %s", r.body)
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if ahead := date.Sub(p.clock()); err != nil || ahead < 598*time.Second || ahead > 601*time.Second {
		t.Errorf("Date %q is %v ahead, want 600 s", r.Header.Get("Date"), ahead)
	}
	p.Set(func(s *Settings) { s.ClockSkew, s.MaxAssertionLifetime = -600, 3600 })
	wantStatus(t, p.ask(p.serviceForm()), http.StatusOK)
}

// One audience per host: a token URL of another name of the same server is another.
func TestAudienceFollowsHost(t *testing.T) {
	p := newPlatform(t)
	form := p.serviceForm()
	req := p.request(http.MethodPost, tokenPath, "", form.Encode())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Host = "designer.example"
	if r := p.do(req); r.json["error"] != "invalid_client" {
		t.Errorf("answer %s", r.body)
	}
	// Over TLS the audience is https.
	server := httptest.NewTLSServer(p.MyDataHelps)
	defer server.Close()
	claims := p.claims()
	claims["aud"] = server.URL + tokenPath
	form.Set("client_assertion", sign(t, jose.RS256, accountKey(), claims))
	req = p.request(http.MethodPost, tokenPath, "", form.Encode())
	req.URL.Scheme, req.URL.Host, req.Host = "https", server.Listener.Addr().String(), ""
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Errorf("over TLS: status %d, %s", res.StatusCode, p.lastReason())
	}
}
