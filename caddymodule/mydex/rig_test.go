// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// host is what a provider gets, with a database of its own.
type host struct{ consents *grants.Consents }

func (host) Name() string { return "mydex" }

func (h host) Grants() delegation.Grants { return h.consents }

func (host) Retain(_ string, build func() io.Closer) io.Closer { return build() }

func (host) RetainShared(_ string, build func() io.Closer) io.Closer { return build() }

func (host) Logger() *zap.Logger { return zap.NewNop() }

func (host) Tokens(delegation.Mint) delegation.Tokens { return bearer{} }

// bearer has one token.
type bearer struct{}

var freshToken = &delegation.Token{Access: delegation.NewSecret("t"), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}

func (bearer) Get(context.Context, delegation.Identity) (*delegation.Token, bool, error) {
	return freshToken, true, nil
}

func (bearer) Renew(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
	return freshToken, nil
}

// rig is a provider whose platform answers with a status.
type rig struct {
	*Provider
	t        *testing.T
	consents *grants.Consents
	store    *grants.Store
	file     string
	status   atomic.Int64
	probes   atomic.Int64
	events   atomic.Int64 // of consents
	during   func()       // while it is asked
}

func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	r.probes.Add(1)
	if r.during != nil {
		r.during()
	}
	if r.status.Load() == 0 {
		return nil, errors.New("down")
	}
	return &http.Response{StatusCode: int(r.status.Load()), Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
}

func newRig(t *testing.T) *rig {
	t.Helper()
	keys, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	o := grants.Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: keys}
	opener := grants.NewLazyStore(o.File, func() (grants.Options, error) { return o, nil })
	p, err := New(goodConfig())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Provider: p, t: t, file: o.File}
	r.consents = grants.NewConsents(grants.ConsentsOptions{
		Provider: "mydex", Store: opener, Cache: grants.NewCache(), Starter: p, Callbacks: p, Decoder: p, Prober: p,
		Note: func(delegation.ConsentEvent, delegation.Person) { r.events.Add(1) },
	})
	if err := p.Open(host{r.consents}); err != nil {
		t.Fatal(err)
	}
	r.client = &http.Client{Transport: r}
	r.status.Store(http.StatusOK)
	if r.store, err = opener.Store(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opener.Close() })
	return r
}

func someone(name string) delegation.Person { return delegation.Person{Realm: "r", Subject: name} }

// owner is whose grant somebody's is.
func (*rig) owner(who delegation.Person) grants.Owner {
	return grants.Owner{Provider: "mydex", Person: who}
}

// staged has the platform tell that somebody has consented with a key.
func (r *rig) staged(name, uid, key string) *grants.Flow {
	r.t.Helper()
	j := &grants.Flow{Owner: r.owner(someone(name)), Kind: grants.FlowConnect}
	if err := r.store.Begin(r.t.Context(), j); err != nil {
		r.t.Fatal(err)
	}
	text, _ := json.Marshal(storedSecret{Key: key, ConnectionID: uid + "-45678", Datasets: []string{"ds_a"}})
	if err := r.store.Stage(r.t.Context(), "mydex", "", j.CorrelationID.Reveal(), grants.PendingResult{Account: uid, Secret: delegation.NewSecret(string(text))}); err != nil {
		r.t.Fatal(err)
	}
	return j
}

// connect makes somebody a member.
func (r *rig) connect(name, uid string) *grants.Grant {
	r.t.Helper()
	j := r.staged(name, uid, "key-"+uid)
	g, _, err := r.store.Complete(r.t.Context(), grants.Return{Owner: j.Owner, StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal()})
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// uid is as whom somebody would be sent; "" if they would not.
func (r *rig) uid(name string) string {
	r.t.Helper()
	h, err := r.decodedGrantOf(r.t.Context(), someone(name))
	if err != nil {
		if delegation.AsRefusal(err).Code != delegation.ConsentRequired {
			r.t.Error(err)
		}
		return ""
	}
	return h.member.UID
}
