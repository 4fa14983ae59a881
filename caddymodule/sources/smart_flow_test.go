// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// clientKeyPEM returns a private key as an operator has it.
func clientKeyPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// connect has somebody consent, and returns the grant.
func (s *fhirServer) connect(p *oauth2Source, change func(url.Values)) (*delegation.Grant, error) {
	s.t.Helper()
	verifier := delegation.NewSecret(rand.Text() + rand.Text())
	page, err := p.StartConsent(s.t.Context(), &delegation.ConsentStart{
		Person: ada, Source: "st_mary", ReturnURL: fhirReturn + "?state=st", State: delegation.NewSecret("st"), Verifier: verifier,
	})
	if err != nil {
		return nil, err
	}
	handed := s.consent(page.URL)
	if change != nil {
		change(handed)
	}
	code, err := p.OneTimeToken(handed)
	if err != nil {
		return nil, err
	}
	result, err := p.Redeem(s.t.Context(), &delegation.Redemption{
		Person: ada, Source: "st_mary", ReturnURL: fhirReturn + "?state=st", Verifier: verifier, Handed: handed, Token: code,
	})
	if err != nil {
		return nil, err
	}
	return &delegation.Grant{Person: ada, Account: result.Account, Scopes: result.Scopes, Secret: result.Secret, Tokens: result.Tokens}, nil
}

// TestSMART protects the way of a person to a FHIR server, by each way that the client
// may authenticate: discovery, PKCE, `aud`, the patient as the account, a scope that is
// wider than asked, refresh, and the revocation that the server offers.
func TestSMART(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	number, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"basic": nil, "none": nil, "ES384": curve, "RS384": number} {
		t.Run(name, func(t *testing.T) {
			auth := ClientAuth(name)
			if key != nil {
				auth = ClientAuthKey
			}
			s := newFHIRServer(t, auth)
			p := s.source(func(c *Config) {
				if key == nil {
					return
				}
				c.ClientKey = delegation.NewSecret(clientKeyPEM(t, key))
				text, err := c.ClientJWKS()
				if err != nil || json.Unmarshal([]byte(text), &s.keys) != nil || s.keys.Keys[0].Algorithm != name {
					t.Fatal(text, err)
				}
			})
			g, err := s.connect(p, nil)
			if err != nil {
				t.Fatal(delegation.Explain(err))
			}
			if g.Account != "smart-1642068" || g.Tokens.Access.Reveal() != "access1" || g.Tokens.Refresh.Reveal() != "refresh1" {
				t.Errorf("account %q", g.Account)
			}
			if missing := p.config.Covers.Missing(g.Scopes, []string{"patient/Observation.rs", "launch/patient", "openid"}); missing != nil {
				t.Errorf("%q does not cover %q", g.Scopes, missing)
			}
			tokens, err := p.RefreshGrant(t.Context(), g, false)
			if err != nil || tokens.Access.Reveal() != "access2" || tokens.Refresh.Reveal() != "refresh2" {
				t.Fatal(delegation.Explain(err))
			}
			g.Tokens = *tokens
			if err := p.hooks().(delegation.GrantRevoker).RevokeGrant(t.Context(), g); err != nil {
				t.Error(delegation.Explain(err))
			}
			g.Tokens.Refresh = delegation.Secret{}
			if err := p.hooks().(delegation.GrantRevoker).RevokeGrant(t.Context(), g); err != nil {
				t.Error(delegation.Explain(err))
			}
			if want := []string{"refresh2 refresh_token", "access2 access_token"}; !slices.Equal(s.revoked, want) {
				t.Errorf("revoked: %q", s.revoked)
			}
		})
	}
}

// TestT61_IssuerByDiscovery protects a person from the code of another server that is
// redeemed at this one (RFC 9207): its redirect names another issuer. The control is a
// redirect that names none, as those of older servers do.
func TestT61_IssuerByDiscovery(t *testing.T) {
	s := newFHIRServer(t, ClientAuthNone)
	if _, err := s.connect(s.source(nil), func(handed url.Values) { handed.Set("iss", "https://evil.example") }); delegation.AsRefusal(err).Code != delegation.ConsentDenied {
		t.Errorf("another issuer: %v", err)
	}
	if s.refresh != 0 {
		t.Error("the code was redeemed")
	}
	if _, err := s.connect(s.source(nil), func(handed url.Values) { handed.Del("iss") }); err != nil {
		t.Errorf("the control: %v", delegation.Explain(err))
	}
	s.iss, s.refresh = true, 0 // from here on its absence is that of another server
	if _, err := s.connect(s.source(nil), func(handed url.Values) { handed.Del("iss") }); delegation.AsRefusal(err).Code != delegation.ConsentDenied || s.refresh != 0 {
		t.Errorf("no issuer: %v", err)
	}
	if _, err := s.connect(s.source(nil), nil); err != nil {
		t.Errorf("the control: %v", delegation.Explain(err))
	}
}

// TestT61_ErrorOfOtherIssuer protects operators and people from the error of another
// server, such as that the client is wrong: of a server whose issuer was found by
// discovery it is no word of the server's (RFC 9207 section 2.4).
func TestT61_ErrorOfOtherIssuer(t *testing.T) {
	s := newFHIRServer(t, ClientAuthNone)
	p := s.source(nil)
	if _, err := p.StartConsent(t.Context(), &delegation.ConsentStart{ReturnURL: fhirReturn + "?state=st"}); err != nil {
		t.Fatal(err)
	}
	for issuer, want := range map[string]delegation.Code{
		"https://evil.example": delegation.ConsentDenied,
		p.known().issuer:       delegation.TokenRejected, // the control: that there is no code is all that is wrong
		"":                     delegation.TokenRejected,
	} {
		handed := url.Values{"error": {"unauthorized_client"}, "state": {"st"}}
		if issuer != "" {
			handed.Set("iss", issuer)
		}
		if _, err := p.OneTimeToken(handed); delegation.AsRefusal(err).Code != want {
			t.Errorf("of %q: %v", issuer, err)
		}
	}
}

// TestT66_DiscoveredEndpoints protects a server's own endpoints from an app: the first
// request of a process finds out where they are before it is let through, and while that
// cannot be found none is. The control is a resource.
func TestT66_DiscoveredEndpoints(t *testing.T) {
	s := newFHIRServer(t, ClientAuthNone)
	check := func(base, path string) error {
		t.Helper()
		c := fhirSource(t, base)
		c.ClientAuth = ClientAuthNone
		source, err := newSource(*c)
		if err != nil {
			t.Fatal(err)
		}
		source.protocol.open(sourceHost{client: http.DefaultClient, tokens: func(delegation.Mint) delegation.Tokens { return nil }})
		return source.checkTarget(t.Context(), &delegation.Delegation{Method: http.MethodPost, Path: path})
	}
	for _, path := range []string{"/st_mary/auth/token", "/st_mary/AUTH//token", "/st_mary/auth/token;x", "/st_mary/auth/introspect", "/st_mary/auth/manage"} {
		if err := check(s.URL+"/R4", path); delegation.AsRefusal(err).Code != delegation.RouteDenied {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := check(s.URL+"/R4", "/st_mary/Observation"); err != nil {
		t.Errorf("the control: %v", err)
	}
	if err := check(s.URL+"/elsewhere", "/st_mary/Observation"); delegation.AsRefusal(err).Code != delegation.IssuerUnavailable {
		t.Errorf("without discovery: %v", err)
	}
}

// TestClientJWKS protects an operator who asks for the key of a source that has none, or
// a damaged one: the text says so, before anything is registered.
func TestClientJWKS(t *testing.T) {
	c := fhirSource(t, "https://fhir.stmary.example/R4")
	if _, err := c.ClientJWKS(); err == nil || !strings.Contains(err.Error(), "no client_key") {
		t.Error(err)
	}
	c.ClientAuth = ClientAuthKey
	if _, err := c.ClientJWKS(); err == nil || !strings.Contains(err.Error(), "client_key is missing") {
		t.Error(err)
	}
	c.ClientKey = delegation.NewSecret("planted")
	if _, err := c.ClientJWKS(); err == nil || !strings.Contains(err.Error(), "client_key: this is no PEM text") || strings.Contains(err.Error(), "planted") {
		t.Error(err)
	}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "client_key: ") {
		t.Error(err)
	}
}
