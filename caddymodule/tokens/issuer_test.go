// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var alice = delegation.Identity{
	Provider: "p", Issuer: "https://i", Client: "c", Key: "k",
	Person: delegation.Person{Realm: "r", Subject: "alice"}, Participant: "A", Audience: "a", Scopes: []string{"s"}, Config: "1",
}

// service is the operator's own identity.
var service = delegation.Identity{Provider: "p", Issuer: "https://i", Client: "c", Key: "k", Audience: "a", Scopes: []string{"api"}, Config: "1"}

// person is alice by another name.
func person(name string) delegation.Identity {
	id := alice
	id.Subject, id.Participant = name, "the participant "+name
	return id
}

// issuer mints tokens that live for life, unless it fails, and counts. It is
// the engine's client as well.
type issuer struct {
	view *View
	life time.Duration
	hold chan struct{} // mints wait for it to be closed; nil: they don't
	mint delegation.Mint

	mu     sync.Mutex
	fail   error
	mints  []string // the subjects
	at     int      // mints going on
	peak   int
	found  map[RequestResult]int
	why    map[MintReason]int
	forgot []delegation.Selection
}

// start returns an engine with an issuer.
func start(t *testing.T, o Options, life time.Duration) (*Engine, *issuer) {
	t.Helper()
	e := New(o)
	i := &issuer{life: life, found: make(map[RequestResult]int), why: make(map[MintReason]int)}
	i.view = e.Attach(i)
	return e, i
}

func (i *issuer) Mint(ctx context.Context, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
	i.mu.Lock()
	i.mints = append(i.mints, id.Subject)
	fail, hold := i.fail, i.hold
	i.at++
	i.peak = max(i.peak, i.at)
	i.mu.Unlock()
	defer func() {
		i.mu.Lock()
		i.at--
		i.mu.Unlock()
	}()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch {
	case fail != nil:
		return nil, fail
	case i.mint != nil:
		return i.mint(ctx, id, refused)
	}
	now := time.Now()
	return &delegation.Token{Access: delegation.NewSecret(rand.Text()), Minted: now, Expires: now.Add(i.life)}, nil
}

func (i *issuer) Forget(s delegation.Selection) { i.forgot = append(i.forgot, s) }

func (i *issuer) ObserveRequest(f RequestResult) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.found[f]++
}

func (i *issuer) BeginMint(ctx context.Context, _ *delegation.Identity, why MintReason) (context.Context, func(*delegation.Token, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.why[why]++
	return ctx, func(*delegation.Token, error) {}
}

// failing has the issuer answer with a refusal; with an empty code it is well.
func (i *issuer) failing(code delegation.Code, retryAfter time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail = nil; code != "" {
		i.fail = &delegation.Refusal{Code: code, RetryAfter: retryAfter}
	}
}

// holdRenewals has people's tokens renewed ahead, by mints that wait for what is
// returned to be closed. It is for a bubble.
func (i *issuer) holdRenewals(t *testing.T, people []delegation.Identity) (hold chan struct{}) {
	t.Helper()
	hold = make(chan struct{})
	i.mu.Lock()
	i.hold = hold
	i.mu.Unlock()
	e := i.view.engine
	for _, id := range people {
		en := e.lookup(e.keys.identityKey(&id), &id, time.Now())
		en.renewAt.Store(time.Now().UnixNano())
		i.want(t, id, true, "")
	}
	synctest.Wait()
	return hold
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.mints)
}

// get asks for a token and returns it, whether it was at hand, and the code
// of the refusal.
func (i *issuer) get(t *testing.T, id delegation.Identity) (*delegation.Token, bool, delegation.Code) {
	t.Helper()
	token, cached, err := i.view.Get(t.Context(), id)
	if err != nil {
		if token != nil {
			t.Error("a token with an error")
		}
		return nil, false, delegation.AsRefusal(err).Code
	}
	return token, cached, ""
}

// want asks for a token and checks what comes of it.
func (i *issuer) want(t *testing.T, id delegation.Identity, cached bool, code delegation.Code) {
	t.Helper()
	if _, gotCached, gotCode := i.get(t, id); gotCached != cached || gotCode != code {
		t.Errorf("%s: cached %t, code %q; want %t, %q", id.Subject, gotCached, gotCode, cached, code)
	}
}
