// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// sourceHandler is a handler of a source that the benchmarks' user has connected. Its
// name is the first segment of what they ask for.
func sourceHandler(b *testing.B, protocol sources.Protocol) *Handler {
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if protocol == sources.OAuth1 {
			_, _ = io.WriteString(w, "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"0123456789abcdef0123456789abcdef","refresh_token":"r","token_type":"Bearer","expires_in":36000,"user":"1"}`)
	}))
	b.Cleanup(vendor.Close)
	at := func(path string) *url.URL {
		u, err := url.Parse(vendor.URL + path)
		if err != nil {
			b.Fatal(err)
		}
		return u
	}
	config := sources.Config{
		Name: "api", Title: "Lab", Protocol: protocol, AuthURL: at("/authorize"), TokenURL: at("/token"), API: at("/v1"),
		ClientID: "app", ClientSecret: delegation.NewSecret("secret"), Scopes: []string{"vitals"}, AllowPrivate: true,
	}
	if protocol == sources.OAuth1 {
		config.Scopes, config.RequestTokenURL = nil, at("/request_token")
	}
	guest, err := sources.New([]sources.Config{config})
	if err != nil {
		b.Fatal(err)
	}
	keys, err := keyset.Generate()
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "grants.db")
	store := grants.NewLazyStore(file, func() (grants.Options, error) { return grants.Options{File: file, Keyset: keys}, nil })
	b.Cleanup(func() { _ = store.Close() })
	p, err := openProvider("study", guest, appServices{grantStore: store}, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.close() })
	h := &Handler{ProviderDirective: testDirective(b, p, SubjectSettings{Realm: defaultRealm}, zap.NewNop())}
	if h.table, err = policy.New([]delegation.Route{{Methods: []string{http.MethodGet}, Pattern: "/api/v1/delegated/participant", Scopes: config.Scopes}}, config.Scopes); err != nil {
		b.Fatal(err)
	}
	if err = h.ForwardedHeaders.provision(); err != nil {
		b.Fatal(err)
	}
	who := delegation.Person{Realm: defaultRealm, Subject: "5e1f0000-0000-4000-8000-000000000001"}
	consents := p.sourceNamed("api").consents
	started, err := consents.Start(b.Context(), grants.StartRequest{Person: who, ReturnURL: "http://127.0.0.1/return/api"})
	if err != nil {
		b.Fatal(err)
	}
	back := url.Values{"code": {"c"}, "oauth_token": {"t"}, "oauth_verifier": {"v"}, "state": {started.State.Reveal()}}
	if _, err := consents.HandleReturn(b.Context(), grants.ReturnRequest{Person: who, State: started.State.Reveal(), BrowserToken: started.BrowserToken.Reveal(), Query: back}); err != nil {
		b.Fatal(err)
	}
	return h
}
