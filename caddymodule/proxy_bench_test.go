// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/mydatahelps"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// upstreamStub answers without a network, so that what is measured is ours.
type upstreamStub struct{}

func (upstreamStub) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, Body: http.NoBody,
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {"0"}, "Date": {"now"}, "Cache-Control": {"no-store"}},
	}, nil
}

// warmHandler is a handler of a provider whose tokens come from a server that
// always has one.
func warmHandler(b *testing.B) *Handler {
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"0123456789abcdef0123456789abcdef","token_type":"Bearer","expires_in":36000}`)
	}))
	b.Cleanup(issuer.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	guest, err := mydatahelps.New(mydatahelps.Config{
		BaseURL: issuer.URL, Project: "5f1d2c3b-0000-4000-8000-00000000a001", Account: "MyDataHelps.12345.demo",
		Keys: []*rsa.PrivateKey{key}, Scopes: []string{"Participant:read", "SurveyAnswers:read"}, Participant: mydatahelps.Participant{By: mydatahelps.ByID},
	})
	if err != nil {
		b.Fatal(err)
	}
	p, err := openProvider("mydatahelps", guest, appServices{}, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.close() })
	h := &Handler{ProviderDirective: testDirective(b, p, SubjectSettings{Realm: defaultRealm}, zap.NewNop())}
	if h.table, err = policy.New(p.traits.Routes, p.traits.Scopes); err != nil {
		b.Fatal(err)
	}
	if err = h.ForwardedHeaders.provision(); err != nil {
		b.Fatal(err)
	}
	return h
}

// browserRequest is what a page's fetch looks like when it reaches the handler.
func browserRequest(b *testing.B) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/delegated/participant", nil)
	for name, value := range map[string]string{
		"Accept": "*/*", "Accept-Language": "en-GB,en;q=0.9", "Accept-Encoding": "gzip, deflate, br", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
		"Cookie": "__Host-session=0123456789", "Referer": "http://app.example.org/", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors",
	} {
		r.Header.Set(name, value)
	}
	repl := caddy.NewReplacer()
	repl.Set("http.auth.user.id", "5e1f0000-0000-4000-8000-000000000001")
	ctx := context.WithValue(b.Context(), caddy.ReplacerCtxKey, repl)
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{"client_ip": "127.0.0.1"})
	return r.WithContext(context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, *r))
}

// BenchmarkWarmPath is what this module adds to a request whose token is at
// hand: `delegate` is handler and transport together, `stock` a handler that
// only passes on, and Caddy's own transport; `connect` and `source` are `delegate` for a
// grant of a Connect platform, or at a source, in place of a minted token. The platform
// answers at once.
func BenchmarkWarmPath(b *testing.B) {
	lower := func() *reverseproxy.HTTPTransport {
		t := new(http.Transport)
		t.RegisterProtocol("http", upstreamStub{})
		return &reverseproxy.HTTPTransport{Transport: t}
	}
	h := warmHandler(b)
	run := func(b *testing.B, of *Handler, h caddyhttp.MiddlewareHandler, transport http.RoundTripper) {
		upstream, err := of.provider.Upstream(&delegation.Delegation{Path: "/api/v1/delegated/participant"})
		if err != nil {
			b.Fatal(err)
		}
		next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			// As reverse_proxy does it: a request of its own, with the address,
			// and an ear for 1xx answers.
			ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { return nil }})
			out, u := r.WithContext(ctx), *r.URL
			u.Scheme, u.Host = upstream.Scheme, upstream.Address
			out.URL = &u
			res, err := transport.RoundTrip(out)
			if err == nil && res.StatusCode != http.StatusOK {
				b.Fatalf("status %d", res.StatusCode)
			}
			return err
		})
		r, w := browserRequest(b), httptest.NewRecorder()
		if err := h.ServeHTTP(w, r, next); err != nil || w.Code != http.StatusOK {
			b.Fatal(w.Code, err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := h.ServeHTTP(w, r, next); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("stock", func(b *testing.B) { run(b, h, passThrough{}, lower()) })
	b.Run("delegate", func(b *testing.B) { run(b, h, h, &Transport{HTTPTransport: lower()}) })
	b.Run("connect", func(b *testing.B) {
		c := connectedHandler(b)
		run(b, c, c, &Transport{HTTPTransport: lower()})
	})
	for name, protocol := range map[string]sources.Protocol{"source": sources.OAuth2, "source-oauth1": sources.OAuth1} {
		b.Run(name, func(b *testing.B) {
			s := sourceHandler(b, protocol)
			run(b, s, s, &Transport{HTTPTransport: lower()})
		})
	}
}

type passThrough struct{}

func (passThrough) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}
