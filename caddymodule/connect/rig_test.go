// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The canaries: none of them may stand in an error, a log line or an answer to the
// browser, but the public token in the latter.
const (
	canarySecret  = "canary-client-secret"
	canarySpecial = "canary-special-token"
	canaryAccess  = "canary-access-token"
	canaryPublic  = "canary-public-token"
)

// fakeGrants are the host's grants, of which a test says what they are.
type fakeGrants struct {
	delegation.Grants
	current    *delegation.Grant // of everybody
	newer      *delegation.Grant
	notPaced   bool // Suspend is refused by its pace
	suspended  []*delegation.Grant
	newerCalls int
}

func (f *fakeGrants) Get(context.Context, delegation.Person) (*delegation.Grant, error) {
	if f.current == nil {
		return nil, delegation.Refuse(delegation.ConsentRequired, nil)
	}
	return f.current, nil
}

func (f *fakeGrants) GetNewer(context.Context, *delegation.Grant) (*delegation.Grant, bool, error) {
	f.newerCalls++
	return f.newer, f.newer != nil, nil
}

func (f *fakeGrants) Suspend(_ context.Context, g *delegation.Grant) *delegation.Refusal {
	if f.notPaced {
		return nil
	}
	f.suspended = append(f.suspended, g)
	return delegation.Refuse(delegation.ConsentRequired, nil)
}

func (*fakeGrants) PairwiseID(_ context.Context, p delegation.Person) (string, error) {
	return "pairwise-of-" + p.Subject, nil
}

// fakeHost is what a provider gets.
type fakeHost struct {
	*fakeGrants
	logger *zap.Logger
}

func (fakeHost) Name() string                                            { return "health" }
func (h fakeHost) Grants() delegation.Grants                             { return h.fakeGrants }
func (fakeHost) Retain(_ string, build func() io.Closer) io.Closer       { return build() }
func (fakeHost) RetainShared(_ string, build func() io.Closer) io.Closer { return build() }
func (h fakeHost) Logger() *zap.Logger                                   { return h.logger }
func (fakeHost) Tokens(delegation.Mint) delegation.Tokens                { panic("a Connect platform mints nothing") }

func (fakeHost) SourceTokens(string, delegation.Mint) delegation.Tokens {
	panic("a Connect platform mints nothing")
}

// call is a request that the platform has got.
type call struct {
	method, path, contentType string
	header                    http.Header
	query                     url.Values
	fields                    map[string]string
}

// rig is a provider with its platform.
type rig struct {
	*Provider
	t      *testing.T
	grants *fakeGrants
	logs   *observer.ObservedLogs

	mu     sync.Mutex
	answer http.HandlerFunc // of every address
	calls  []call
}

// newRig returns a provider with the settings that change makes of the usual ones.
// The platform answers as a good one does.
func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, grants: new(fakeGrants), answer: replies(nil)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	c := Config{
		ClientID: "app", ClientSecret: delegation.NewSecret(canarySecret),
		ExchangeURL: server.URL + "/tokens", APIURL: server.URL, WidgetURL: server.URL + "/connect.js",
	}
	if change != nil {
		change(&c)
	}
	for _, to := range []*string{&c.VerifyURL, &c.PublicTokenURL} {
		if strings.HasPrefix(*to, "/") {
			*to = server.URL + *to
		}
	}
	var err error
	if r.Provider, err = New(c); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	r.logs = logs
	if err := r.Open(fakeHost{r.grants, zap.New(core)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// ServeHTTP is the platform.
func (r *rig) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c := call{method: req.Method, path: req.URL.Path, contentType: req.Header.Get("Content-Type"), header: req.Header, query: req.URL.Query()}
	body, _ := io.ReadAll(req.Body)
	if c.contentType == "application/json" {
		_ = json.Unmarshal(body, &c.fields)
	} else if form, err := url.ParseQuery(string(body)); err == nil {
		c.fields = make(map[string]string)
		for name := range form {
			c.fields[name] = form.Get(name)
		}
	}
	r.mu.Lock()
	r.calls = append(r.calls, c)
	answer := r.answer
	r.mu.Unlock()
	answer(w, req)
}

// answerWith has the platform answer otherwise from now on.
func (r *rig) answerWith(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// asked are the platform's calls until now.
func (r *rig) asked() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// goodReply is what the exchange answers for alice.
func goodReply() map[string]any {
	return map[string]any{
		"UserCode": "account-1", "accessToken": canaryAccess, "publicToken": canaryPublic, "clientId": "app", "clientUserId": "pairwise-of-alice",
	}
}

// replies answers the good reply with some members changed; those that are
// [absent] are left out.
func replies(changed map[string]any) http.HandlerFunc {
	all := goodReply()
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == absent })
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return answers(http.StatusOK, "application/json", string(text))
}

// absent is the value of a member that is not there.
const absent = "\x00absent"

// answers answers everything alike.
func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

var alice = delegation.Person{Realm: "r", Subject: "alice"}

// redeem has alice's page hand over a token.
func (r *rig) redeem() (*delegation.ConsentResult, error) {
	r.t.Helper()
	return r.redeemHanded(url.Values{r.config.Names.Token: {canarySpecial}})
}

func (r *rig) redeemHanded(handed url.Values) (*delegation.ConsentResult, error) {
	r.t.Helper()
	token, err := r.OneTimeToken(handed)
	if err != nil {
		return nil, err
	}
	return r.Redeem(r.t.Context(), &delegation.Redemption{Person: alice, Handed: handed, Token: token, Secret: delegation.NewSecret("pairwise-of-alice")})
}

// refused wants an error to be a refusal with a code, whose text for the log has
// some words, and no canary.
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
	for _, canary := range []string{canarySecret, canarySpecial, canaryAccess, canaryPublic} {
		if strings.Contains(text, canary) {
			t.Errorf("%s stands in %q", canary, text)
		}
	}
}

// grant returns a grant as the database has it.
func grant(t *testing.T, account, access, public string) *delegation.Grant {
	t.Helper()
	secret, err := grantSecret{Access: access, Public: public, User: "pairwise-of-alice"}.seal()
	if err != nil {
		t.Fatal(err)
	}
	g := &delegation.Grant{ID: "g-" + account, Person: alice, Account: account, Secret: secret, Changed: time.Unix(1_800_000_000, 0)}
	if g.Decoded, err = decodeGrant(g); err != nil {
		t.Fatal(err)
	}
	return g
}
