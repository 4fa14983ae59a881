// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

const (
	testBase    = "https://platform.example/prefix"
	testProject = "12345678-0000-4000-8000-00000000abcd"
	testAccount = "MyDataHelps.12345.proxy"
)

var testKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 2)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func testConfig(by string) Config {
	c := Config{
		BaseURL: testBase, Project: testProject, Account: testAccount,
		Keys: testKeys()[:1], Scopes: []string{"SurveyAnswers:read", "Participant:read"},
		Participant: Participant{By: by},
	}
	if by == ByField {
		c.Participant.Field = "appUser"
	}
	return c
}

// host is a [delegation.Host] with a token engine.
type host struct {
	state  map[string]io.Closer
	engine *tokens.Engine
	mint   delegation.Mint
	forget func(delegation.Selection)
	logger *zap.Logger
	logs   *observer.ObservedLogs
}

func newHost() *host {
	core, logs := observer.New(zap.DebugLevel)
	return &host{engine: tokens.New(tokens.Options{}), logger: zap.New(core), logs: logs}
}

func (h *host) Name() string        { return "mdh" }
func (h *host) Logger() *zap.Logger { return h.logger }

func (h *host) Tokens(mint delegation.Mint) delegation.Tokens {
	h.mint = mint
	return h.engine.Attach(h)
}

func (h *host) SourceTokens(string, delegation.Mint) delegation.Tokens { panic("there are no sources") }

func (h *host) Retain(key string, build func() io.Closer) io.Closer {
	if h.state == nil {
		h.state = make(map[string]io.Closer)
	}
	if h.state[key] == nil {
		h.state[key] = build()
	}
	return h.state[key]
}

func (h *host) RetainShared(key string, build func() io.Closer) io.Closer {
	return h.Retain(key, build)
}

// close ends all state, as when no configuration uses it any more.
func (h *host) close() {
	for _, state := range h.state {
		_ = state.Close()
	}
}

// The host is the engine's client as well.

func (h *host) Mint(ctx context.Context, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
	return h.mint(ctx, id, refused)
}

func (h *host) Forget(s delegation.Selection) {
	if h.forget != nil {
		h.forget(s)
	}
}

func (*host) ObserveRequest(tokens.RequestResult) {}

func (*host) BeginMint(ctx context.Context, _ *delegation.Identity, _ tokens.MintReason) (context.Context, func(*delegation.Token, error)) {
	return ctx, func(*delegation.Token, error) {}
}

// purge has the engine forget one subject.
func (h *host) purge(t *testing.T, subject string) {
	t.Helper()
	if err := h.engine.Purge(t.Context(), delegation.Selection{Realm: "app", Subject: subject}); err != nil {
		t.Fatal(err)
	}
}

// open makes a provider that talks to the platform, and closes its state when
// the test ends.
func open(t *testing.T, c Config, pf *platform) (*Provider, *host) {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost()
	if err := p.Open(h); err != nil {
		t.Fatal(err)
	}
	p.client.Transport = pf
	h.forget = p.Forget
	t.Cleanup(func() {
		h.close()
		for _, e := range h.logs.All() {
			if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), "planted") {
				t.Errorf("the log names a person or a secret: %s %v", e.Message, e.ContextMap())
			}
		}
	})
	return p, h
}

// openWith returns the provider that finds participants in a way, at a platform with
// n of them.
func openWith(t *testing.T, by string, n int) (*Provider, *platform) {
	t.Helper()
	pf := newPlatform(people(n)...)
	p, _ := open(t, testConfig(by), pf)
	return p, pf
}

func request(subject string) *delegation.Delegation {
	return &delegation.Delegation{
		Provider: "mdh", Person: delegation.Person{Realm: "app", Subject: subject}, Claim: subject,
		Scopes: []string{"Participant:read"},
	}
}

// authorizeAs authorises a subject and returns the participant and the refusal's code.
func authorizeAs(t *testing.T, p *Provider, subject string) (id string, code delegation.Code) {
	t.Helper()
	d := request(subject)
	credential, err := p.Authorize(t.Context(), d)
	if err != nil {
		if credential != nil {
			t.Error("a credential with an error")
		}
		return "", asRefusal(t, err).Code
	}
	return d.Participant, ""
}

// asRefusal also checks that the error tells nothing about a person.
func asRefusal(t *testing.T, err error) *delegation.Refusal {
	t.Helper()
	var r *delegation.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%T is no refusal: %v", err, err)
	}
	if cause := r.Unwrap(); cause == nil || strings.Contains(cause.Error(), "planted") {
		t.Errorf("the cause of %s is missing, or names a person or a secret: %v", r.Code, cause)
	}
	return r
}

// wantParticipant checks an outcome of act.
func wantParticipant(t *testing.T, p *Provider, subject, id string, code delegation.Code) {
	t.Helper()
	if gotID, gotCode := authorizeAs(t, p, subject); gotID != id || gotCode != code {
		t.Errorf("%.20s: participant %q, refusal %q; want %q, %q", subject, gotID, gotCode, id, code)
	}
}
