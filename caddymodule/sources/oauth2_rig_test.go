// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The canaries: none of them may stand in an error or a log line.
const (
	canaryCode    = "canary-code"
	canaryAccess  = "canary-access"
	canaryRefresh = "canary-refresh"
	canaryKey     = "canary-key" // in a header of data calls
)

// codeVendor is a vendor of OAuth 2.0 without a network: it answers by path, and
// records what it has got.
type codeVendor struct {
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by path
	calls   []vendorCall
}

// vendorCall is a request that the vendor has got.
type vendorCall struct {
	method, path, query, contentType, body, authorization string
	form                                                  url.Values
	header                                                http.Header
}

// RoundTrip implements [http.RoundTripper].
func (v *codeVendor) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	form, _ := url.ParseQuery(string(body))
	v.mu.Lock()
	v.calls = append(v.calls, vendorCall{
		method: req.Method, path: req.URL.Path, query: req.URL.RawQuery, contentType: req.Header.Get("Content-Type"), body: string(body),
		authorization: req.Header.Get("Authorization"), form: form, header: req.Header,
	})
	answer := v.answers[req.URL.Path]
	v.mu.Unlock()
	if answer == nil {
		answer = says(http.StatusNotFound, "text/html", "<h1>canary-page</h1>")
	}
	w := httptest.NewRecorder()
	answer(w, req)
	if w.Code == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return w.Result(), nil
}

// on has the vendor answer a path in JSON from now on.
func (v *codeVendor) on(path, body string) { v.onStatus(path, http.StatusOK, body) }

func (v *codeVendor) onStatus(path string, status int, body string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers[path] = says(status, "application/json", body)
}

// asked are the calls of a path until now.
func (v *codeVendor) asked(path string) []vendorCall {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(v.calls), func(c vendorCall) bool { return c.path != path })
}

// says answers everything alike.
func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// breaks answers nothing.
func breaks(w http.ResponseWriter, _ *http.Request) { w.(*httptest.ResponseRecorder).Code = 0 }

// codeGrants are the host's grants: one person's, without a database.
type codeGrants struct {
	delegation.Grants
	current   *delegation.Grant
	newer     *delegation.Grant
	uncertain bool // somebody has not come back from spending the refresh token
	notPaced  bool // Suspend is refused by its pace
	suspended int
}

func (f *codeGrants) Get(context.Context, delegation.Person) (*delegation.Grant, error) {
	if f.current == nil || f.current.Suspended {
		return nil, delegation.Refuse(delegation.ConsentRequired, nil)
	}
	return f.current, nil
}

func (f *codeGrants) GetNewer(context.Context, *delegation.Grant) (*delegation.Grant, bool, error) {
	return f.newer, f.newer != nil, nil
}

func (f *codeGrants) Suspend(context.Context, *delegation.Grant) *delegation.Refusal {
	if f.notPaced {
		return nil
	}
	f.suspended++
	g := *f.current
	g.Suspended = true
	f.current = &g
	return delegation.Refuse(delegation.ConsentRequired, nil)
}

func (f *codeGrants) Refresh(ctx context.Context, who delegation.Person, refused delegation.Secret, spend delegation.Spend) (*delegation.Grant, error) {
	g, err := f.Get(ctx, who)
	if err != nil || !g.Tokens.Access.Equal(refused) && g.Tokens.Access.Reveal() != "" {
		return g, err
	}
	tokens, err := spend(ctx, g, f.uncertain)
	if err != nil {
		return nil, err
	}
	next := *g
	next.Tokens, next.Version = *tokens, g.Version+1
	f.current = &next
	return f.current, nil
}

func (*codeGrants) PairwiseID(_ context.Context, p delegation.Person) (string, error) {
	return "pairwise-of-" + p.Subject, nil
}

// codeHost is what a provider gets. Its engine remembers nothing.
type codeHost struct {
	delegation.Host
	grants *codeGrants
	logger *zap.Logger
	mint   delegation.Mint
}

func (*codeHost) RetainShared(_ string, build func() io.Closer) io.Closer { return build() }
func (h *codeHost) SourceGrants(string) delegation.Grants                 { return h.grants }
func (h *codeHost) Logger() *zap.Logger                                   { return h.logger }

func (h *codeHost) SourceTokens(_ string, mint delegation.Mint) delegation.Tokens {
	h.mint = mint
	return h
}

// Get implements [delegation.Tokens].
func (h *codeHost) Get(ctx context.Context, id delegation.Identity) (*delegation.Token, bool, error) {
	t, err := h.mint(ctx, id, nil)
	return t, false, err
}

// Renew implements [delegation.Tokens].
func (h *codeHost) Renew(ctx context.Context, id delegation.Identity, stale *delegation.Token) (*delegation.Token, error) {
	return h.mint(ctx, id, stale)
}

// codeRig is a provider with one OAuth 2.0 source, "lab", and its vendor.
type codeRig struct {
	*Provider
	*codeVendor
	t      *testing.T
	grants *codeGrants
	hooks  *oauth2Source
	logs   *observer.ObservedLogs
}

// newCodeRig returns a provider with the settings that change makes of the usual ones.
func newCodeRig(t *testing.T, change func(*Config)) *codeRig {
	t.Helper()
	r := &codeRig{t: t, codeVendor: &codeVendor{answers: make(map[string]http.HandlerFunc)}, grants: new(codeGrants)}
	r.on("/token", `{"access_token":"canary-access","token_type":"Bearer","expires_in":3600,"refresh_token":"canary-refresh","user":"u-1"}`)
	c := codeConfig()
	if change != nil {
		change(&c)
	}
	c.SetDefaults()
	var err error
	if r.Provider, err = New([]Config{c}); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	r.logs = logs
	if err := r.Open(&codeHost{grants: r.grants, logger: zap.New(core)}); err != nil {
		t.Fatal(err)
	}
	r.hooks = r.sources[0].protocol.(*oauth2Source)
	r.hooks.client = &http.Client{Transport: r.codeVendor, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.sources[0].client = r.hooks.client
	t.Cleanup(func() {
		for _, entry := range logs.All() {
			clean(t, entry.Message)
		}
	})
	return r
}

// codeConfig returns the usual settings, without quirks.
func codeConfig() Config {
	return Config{
		Name: "lab", Title: "City lab", Protocol: OAuth2, AuthURL: at("https://login.lab.example/authorize"), TokenURL: at("https://login.lab.example/token"),
		API: at("https://api.lab.example/v1"), ClientID: "app", ClientSecret: delegation.NewSecret(canaryClient),
		Scopes: []string{"vitals", "sleep"}, Account: &Lookup{In: InReply, Path: "user"},
	}
}

func at(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return u
}

const codeReturn = "https://app.example/connect/return/lab?state=the+state"

// page begins a flow of ada's and returns the vendor's page.
func (r *codeRig) page(scopes []string, g *delegation.Grant) *url.URL {
	r.t.Helper()
	page, err := r.hooks.StartConsent(r.t.Context(), &delegation.ConsentStart{
		Person: ada, Source: "lab", ReturnURL: codeReturn, State: delegation.NewSecret("the state"), Verifier: delegation.NewSecret("the-verifier"), Scopes: scopes, Grant: g,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return at(page.URL)
}

// redeem has ada's browser come back with a code, and more.
func (r *codeRig) redeem(more url.Values, g *delegation.Grant) (*delegation.ConsentResult, error) {
	handed := url.Values{"state": {"the state"}, "code": {canaryCode}}
	maps.Copy(handed, more)
	token, err := r.hooks.OneTimeToken(handed)
	if err != nil {
		return nil, err
	}
	return r.hooks.Redeem(r.t.Context(), &delegation.Redemption{
		Person: ada, Source: "lab", ReturnURL: codeReturn, Verifier: delegation.NewSecret("the-verifier"), Handed: handed, Token: token, Grant: g,
	})
}

// connect has ada connect, and gives her the grant.
func (r *codeRig) connect(more url.Values) *delegation.ConsentResult {
	r.t.Helper()
	result, err := r.redeem(more, nil)
	if err != nil {
		r.t.Fatal(delegation.Explain(err))
	}
	r.grants.current = &delegation.Grant{
		ID: "g", Version: 1, Person: ada, Source: "lab", Account: result.Account, Label: result.Label, Scopes: result.Scopes, Secret: result.Secret, Tokens: result.Tokens,
	}
	return result
}

// refused wants an error to be a refusal with a code, whose text for the log has some
// words, and no canary.
func refused(t *testing.T, err error, code delegation.Code, words string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted; want %s", code)
	}
	r := delegation.AsRefusal(err)
	text := delegation.Explain(err)
	if r.Code != code || !strings.Contains(text, words) {
		t.Errorf("%s\nwant %s: …%s…", text, code, words)
	}
	clean(t, text+r.Message()+r.Error())
}

// clean wants a text to hold no canary.
func clean(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, "canary") {
		t.Errorf("a secret stands in %q", text)
	}
}
