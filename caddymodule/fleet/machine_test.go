// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

func newKeyset(t testing.TB) *keyset.Keyset {
	t.Helper()
	k, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func clone(t testing.TB, k *keyset.Keyset) *keyset.Keyset {
	t.Helper()
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyset.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// issuer is the one that all machines mint at.
type issuer struct {
	mints atomic.Int64
	mu    sync.Mutex
	mint  func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) // instead of fresh
}

func (i *issuer) fresh() *delegation.Token {
	now := time.Now()
	return &delegation.Token{
		Access: delegation.NewSecret(fmt.Sprintf("canary-token-%d", i.mints.Add(1))), Scope: "canary:scope",
		Minted: now, Expires: now.Add(time.Hour),
	}
}

func (i *issuer) set(mint func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mint = mint
}

// machine is a token engine with a fleet of its own, as on another computer.
type machine struct {
	fleet   *Fleet
	member  *SharedTokens
	engine  *tokens.Engine
	view    *tokens.View
	issuer  *issuer
	changes chan string // "up", or why it is down
	dropped chan delegation.Selection
}

func (m *machine) Mint(ctx context.Context, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
	m.issuer.mu.Lock()
	mint := m.issuer.mint
	m.issuer.mu.Unlock()
	if mint != nil {
		return mint(ctx, id, refused)
	}
	return m.issuer.fresh(), nil
}
func (m *machine) Forget(s delegation.Selection)       { m.dropped <- s }
func (m *machine) ObserveRequest(tokens.RequestResult) {}
func (m *machine) BeginMint(ctx context.Context, _ *delegation.Identity, _ tokens.MintReason) (context.Context, func(*delegation.Token, error)) {
	return ctx, func(*delegation.Token, error) {}
}

// boot starts a machine. The timeout is generous: the tests' own computer may
// be busy, and only some tests are about slowness.
func boot(t testing.TB, i *issuer, o Options) *machine {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{
		fleet: f, issuer: i, engine: tokens.New(tokens.Options{}),
		changes: make(chan string, 100), dropped: make(chan delegation.Selection, 100_000),
	}
	f.OnChange(func(up bool, cause string) {
		if up {
			cause = "up"
		}
		m.changes <- cause
	})
	m.member = f.Join("space", func(s delegation.Selection, _ time.Time) { m.engine.PurgeLocal(s) })
	m.engine.SetShared(m.member)
	m.view = m.engine.Attach(m)
	t.Cleanup(func() {
		m.view.Detach()
		m.member.Leave()
		_ = f.Close()
	})
	return m
}

// purge purges a selection, and wants that to be complete.
func (m *machine) purge(t testing.TB, s delegation.Selection) {
	t.Helper()
	if err := m.engine.Purge(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// wantDropped wants the next selection that the machine drops.
func (m *machine) wantDropped(t testing.TB, want delegation.Selection) {
	t.Helper()
	select {
	case got := <-m.dropped:
		if got != want {
			t.Errorf("dropped %+v", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not know of the purge")
	}
}

// pair is two machines that share a Redis.
func pair(t testing.TB, s *server, o Options) (i *issuer, a, b *machine) {
	t.Helper()
	o.URL = s.url()
	if o.Sealer == nil {
		o.Sealer = newKeyset(t)
	}
	i = new(issuer)
	return i, boot(t, i, o), boot(t, i, o)
}

func person(name string) delegation.Identity {
	return delegation.Identity{
		Provider: "p", Issuer: "https://i", Client: "c", Key: "k",
		Person: delegation.Person{Realm: "r", Subject: name}, Participant: name + "-participant",
		Audience: "a", Scopes: []string{"canary:scope"}, Config: "1",
	}
}

func (m *machine) get(t testing.TB, id delegation.Identity) string {
	t.Helper()
	token, _, err := m.view.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return token.Access.Reveal()
}

// change waits for the next change of state.
func (m *machine) change(t testing.TB) string {
	t.Helper()
	select {
	case c := <-m.changes:
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("no change of state")
		return ""
	}
}

// token asks the member without an engine in front of it.
func (m *machine) token(ctx context.Context, key string, mint func(context.Context) (*delegation.Token, error)) (*delegation.Token, error) {
	id := person("alice")
	return m.member.Token(ctx, key, &id, func(*delegation.Token) bool { return true }, mint)
}
