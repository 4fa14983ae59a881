// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// signedGrants are the host's grants, of which a test says what they are.
type signedGrants struct {
	delegation.Grants
	current, newer *delegation.Grant
	suspended      []*delegation.Grant
}

func (f *signedGrants) Get(context.Context, delegation.Person) (*delegation.Grant, error) {
	if f.current == nil {
		return nil, delegation.Refuse(delegation.ConsentRequired, nil)
	}
	return f.current, nil
}

func (f *signedGrants) GetNewer(context.Context, *delegation.Grant) (*delegation.Grant, bool, error) {
	return f.newer, f.newer != nil, nil
}

func (f *signedGrants) Suspend(_ context.Context, g *delegation.Grant) *delegation.Refusal {
	f.suspended = append(f.suspended, g)
	return delegation.Refuse(delegation.ConsentRequired, nil)
}

// signedHost is what the provider gets.
type signedHost struct {
	delegation.Host
	grants *signedGrants
	logger *zap.Logger
}

func (h signedHost) SourceGrants(string) delegation.Grants                 { return h.grants }
func (signedHost) RetainShared(_ string, build func() io.Closer) io.Closer { return build() }
func (h signedHost) Logger() *zap.Logger                                   { return h.logger }

// signedRig is a provider with one OAuth 1.0a source, "lab", and its vendor.
type signedRig struct {
	*Provider
	t      *testing.T
	vendor *oauth1Vendor
	grants *signedGrants
	logs   *observer.ObservedLogs
}

// newSignedRig returns a provider with the settings that change makes of the usual ones.
func newSignedRig(t *testing.T, change func(*Config)) *signedRig {
	t.Helper()
	r := &signedRig{t: t, vendor: newOAuth1Vendor(t), grants: new(signedGrants)}
	c := Config{
		Name: "lab", Title: "Old lab", Protocol: OAuth1,
		RequestTokenURL: r.address("/oauth/request_token"), TokenURL: r.address("/oauth/access_token"), AuthURL: r.address("/oauth/authorize?lang=en"), API: r.address("/api"),
		ClientID: "app", ClientSecret: delegation.NewSecret(canaryClient), Account: &Lookup{In: InReply, Path: "userid"}, AllowPrivate: true,
	}
	if change != nil {
		change(&c)
	}
	c.SetDefaults()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	r.vendor.sha256 = c.Signature == "HMAC-SHA256"
	var err error
	if r.Provider, err = New([]Config{c}); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	r.logs = logs
	if err := r.Open(signedHost{grants: r.grants, logger: zap.New(core)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		for _, entry := range logs.All() {
			r.clean(entry.Message)
		}
	})
	return r
}

// address returns one of the vendor's.
func (r *signedRig) address(path string) *url.URL {
	u, err := url.Parse(r.vendor.server.URL + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// clean fails the test if a text holds a secret.
func (r *signedRig) clean(text string) {
	r.t.Helper()
	if strings.Contains(text, "canary") {
		r.t.Errorf("a secret in %q", text)
	}
}

// code returns the code of a refusal and its text for the operator, which has no secret.
func (r *signedRig) code(err error) (delegation.Code, string) {
	r.t.Helper()
	if err == nil {
		return "", ""
	}
	text := delegation.Explain(err)
	r.clean(text)
	refusal := delegation.AsRefusal(err)
	r.clean(refusal.Message())
	return refusal.Code, text
}

const signedReturn = "https://app.example/connect/return/lab?state=the+state"

var ada = delegation.Person{Realm: "r", Subject: "ada"}

// hooks of the source.
func (r *signedRig) hooks() interface {
	delegation.ConsentStarter
	delegation.Redeemer
	delegation.ConsentProber
} {
	return r.Sources()[0].Hooks.(interface {
		delegation.ConsentStarter
		delegation.Redeemer
		delegation.ConsentProber
	})
}

// start begins a flow and returns the vendor's page.
func (r *signedRig) start() (*delegation.ConsentPage, error) {
	return r.hooks().StartConsent(r.t.Context(), &delegation.ConsentStart{Person: ada, Source: "lab", ReturnURL: signedReturn, State: delegation.NewSecret("the state")})
}

// redirected is the query of a redirect to us.
func redirected(token, verifier string) url.Values {
	return url.Values{"state": {"the state"}, "oauth_token": {token}, "oauth_verifier": {verifier}}
}

// redeem ends a flow.
func (r *signedRig) redeem(page *delegation.ConsentPage, handed url.Values, g *delegation.Grant) (*delegation.ConsentResult, error) {
	token, err := r.hooks().OneTimeToken(handed)
	if err != nil {
		return nil, err
	}
	return r.hooks().Redeem(r.t.Context(), &delegation.Redemption{Person: ada, Source: "lab", ReturnURL: signedReturn, Secret: page.Secret, Handed: handed, Token: token, Grant: g})
}

// connected gives the person a grant.
func (r *signedRig) connected() {
	r.t.Helper()
	r.grants.current = signedGrant(r)
}

func signedGrant(r *signedRig) *delegation.Grant {
	r.t.Helper()
	g := &delegation.Grant{ID: "g", Person: ada, Source: "lab", Account: "4711", Secret: delegation.NewSecret(canaryTokenSecret), Tokens: delegation.GrantTokens{Access: delegation.NewSecret(canarySignedToken)}}
	var err error
	if g.Decoded, err = r.Sources()[0].Hooks.(delegation.GrantDecoder).DecodeGrant(g); err != nil {
		r.t.Fatal(err)
	}
	return g
}

// authorize returns the credential of a data call.
func (r *signedRig) authorize(d *delegation.Delegation) delegation.Credential {
	r.t.Helper()
	c, err := r.Authorize(r.t.Context(), d)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// delegated is a data call of the person's.
func delegated(path string) *delegation.Delegation {
	return &delegation.Delegation{Provider: "study", Person: ada, Method: http.MethodGet, Path: "/lab" + path, URI: "/lab" + path}
}

// outgoing is the request of a data call as the transport has it before Apply.
func (r *signedRig) outgoing(method, path, contentType, body string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.vendor.server.URL+"/api"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.GetBody = http.NoBody, nil
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

// send sends a data call, and returns the status and whether its credential was refused.
func (r *signedRig) send(c delegation.Credential, req *http.Request) (status int, stale bool) {
	r.t.Helper()
	if err := c.Apply(req); err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode, c.Stale(res)
}
