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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connect"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// connectedHandler is a handler of a Connect platform that the benchmarks' user has
// connected.
func connectedHandler(b *testing.B) *Handler {
	user := ""
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"UserCode":"1","clientId":"app","clientUserId":"`+user+`","accessToken":"0123456789abcdef0123456789abcdef"}`)
	}))
	b.Cleanup(platform.Close)
	guest, err := connect.New(connect.Config{
		ClientID: "app", ClientSecret: delegation.NewSecret("secret"), APIURL: platform.URL,
		ExchangeURL: platform.URL + "/tokens", WidgetURL: platform.URL + "/connect.js",
	})
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
	p, err := openProvider("health", guest, appServices{grantStore: store}, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.close() })
	h := &Handler{ProviderDirective: testDirective(b, p, SubjectSettings{Realm: defaultRealm}, zap.NewNop())}
	if h.table, err = policy.New([]delegation.Route{{Methods: []string{http.MethodGet}, Pattern: "/api/v1/delegated/participant"}}, nil); err != nil {
		b.Fatal(err)
	}
	if err = h.ForwardedHeaders.provision(); err != nil {
		b.Fatal(err)
	}
	who := delegation.Person{Realm: defaultRealm, Subject: "5e1f0000-0000-4000-8000-000000000001"}
	started, err := p.consents.Start(b.Context(), grants.StartRequest{Person: who, Native: true, ReturnURL: "http://127.0.0.1/return"})
	if err != nil {
		b.Fatal(err)
	}
	user = started.Page.Widget["clientUserId"]
	if _, err := p.consents.Redeem(b.Context(), grants.RedeemRequest{Ticket: started.Ticket.Reveal(), Handed: url.Values{"specialToken": {"1"}}}); err != nil {
		b.Fatal(err)
	}
	return h
}
