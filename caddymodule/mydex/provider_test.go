// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"database/sql"
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
type host struct{ opener *grants.LazyStore }

func (host) Name() string                                                  { return "mydex" }
func (h host) Grants() *grants.LazyStore                                   { return h.opener }
func (host) RecordConsentEvent(delegation.ConsentEvent, delegation.Person) {}
func (host) Retain(_ string, build func() io.Closer) io.Closer             { return build() }
func (host) RetainShared(_ string, build func() io.Closer) io.Closer       { return build() }
func (host) Logger() *zap.Logger                                           { return zap.NewNop() }
func (host) Tokens(delegation.Mint) delegation.Tokens                      { return bearer{} }

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
	t      *testing.T
	store  *grants.Store
	file   string
	status atomic.Int64
	probes atomic.Int64
	during func() // while it is asked
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
	if err := p.Open(host{opener}); err != nil {
		t.Fatal(err)
	}
	r := &rig{Provider: p, t: t, file: o.File}
	r.client = &http.Client{Transport: r}
	r.status.Store(http.StatusOK)
	if r.store, err = opener.Store(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opener.Close() })
	return r
}

func someone(name string) delegation.Person { return delegation.Person{Realm: "r", Subject: name} }

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
	h, err := r.cachedOrRead(r.t.Context(), someone(name))
	if err != nil {
		if delegation.AsRefusal(err).Code != delegation.ConsentRequired {
			r.t.Error(err)
		}
		return ""
	}
	return h.member.UID
}

// later has what is in memory be as old as it may be, and suspended grants too.
func (r *rig) later(name string, by time.Duration) {
	r.t.Helper()
	who := someone(name)
	if h, ok := r.grantCache.store.Get(who, cacheKey(who), time.Now()); ok {
		old := *h
		old.refreshedAt = old.refreshedAt.Add(-by)
		r.grantCache.putUnlessDropped(who, &old, r.grantCache.dropCount(who))
	}
}

// TestReadAgain protects somebody whom an operator or another machine has
// taken a grant from: within 30 seconds it is not used any more.
func TestReadAgain(t *testing.T) {
	r := newRig(t)
	g := r.connect("alice", "1")
	if uid := r.uid("alice"); uid != "1" {
		t.Fatal(uid)
	}
	if err := r.store.Release(t.Context(), g.ID, "test"); err != nil {
		t.Fatal(err)
	}
	if uid := r.uid("alice"); uid != "1" {
		t.Errorf("%q: it is read each time", uid)
	}
	r.later("alice", freshFor)
	if uid := r.uid("alice"); uid != "" {
		t.Errorf("it is used as %s", uid)
	}
	r.connect("bob", "1")
	if uid := r.uid("bob"); uid != "1" {
		t.Error(uid)
	}
}

// resumable has what was suspended be long enough ago to be tried again.
func (r *rig) resumable() {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.file+"?_pragma=busy_timeout(10000)") // the store erases in the background
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(r.t.Context(), "UPDATE grants SET changed = changed - ?", probeSuspendedAfter.Milliseconds()); err != nil {
		r.t.Fatal(err)
	}
}

// TestResume protects a member whose key was refused by mistake, and one who
// has withdrawn from a platform that is down: only if it is accepted the grant
// counts again, and not if somebody has changed it meanwhile.
func TestResume(t *testing.T) {
	r := newRig(t)
	byCall := func(name string) bool { return r.uid(name) != "" }
	// Who only asks how it stands has it tried as well: "connect again" would be
	// the wrong answer.
	byStatus := func(name string) bool {
		how, err := r.ConsentStatus(t.Context(), someone(name))
		if err != nil {
			t.Error(err)
		}
		return how == delegation.ConsentConnected
	}
	for _, c := range []struct {
		what   string
		status int64
		want   bool
		ask    func(string) bool
	}{
		{"accepted", 200, true, byCall},
		{"refused", 401, false, byCall},
		{"broken", 500, false, byCall},
		{"forbidden", 403, false, byCall},
		{"down", 0, false, byCall},
		{"acceptedAgain", 200, true, byStatus},
		{"refusedAgain", 401, false, byStatus},
	} {
		r.status.Store(c.status)
		if _, err := r.store.Suspend(t.Context(), r.connect(c.what, c.what)); err != nil {
			t.Fatal(err)
		}
		before := r.probes.Load()
		if c.ask(c.what) || r.probes.Load() != before {
			t.Errorf("%s: tried again at once", c.what)
		}
		r.resumable()
		if got := c.ask(c.what); got != c.want || r.probes.Load() == before {
			t.Errorf("%s: used %t after %d probes", c.what, got, r.probes.Load()-before)
		}
		before = r.probes.Load()
		if got := c.ask(c.what); got != c.want || r.probes.Load() != before {
			t.Errorf("%s: used %t, tried again at once", c.what, got)
		}
	}
	r.status.Store(200)
	if _, err := r.store.Suspend(t.Context(), r.connect("carol", "7")); err != nil {
		t.Fatal(err)
	}
	r.resumable()
	r.during = func() { // an operator decides while the platform is asked
		r.during = nil
		if err := r.store.DeleteByOwner(t.Context(), r.owner(someone("carol"))); err != nil {
			t.Error(err)
		}
	}
	if uid := r.uid("carol"); uid != "" {
		t.Errorf("what was forgotten meanwhile is used as %s", uid)
	}
}

func mustDecode(t *testing.T, g *grants.Grant) *cachedGrant {
	t.Helper()
	h, err := decodeGrant(g)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestExamine protects everybody else from one member's key, and a member from
// being put aside for another's, for a scope, or because the platform is down.
func TestExamine(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	h := mustDecode(t, r.connect("bob", "2"))
	d := &delegation.Delegation{Provider: "mydex", Person: someone("bob"), Method: "GET", Path: "/timeline"}
	refused := &Credential{Token: freshToken, Member: h.member, Placement: IdentityPlacement{style: Blocks}}
	for _, status := range []int64{200, 403, 500, 0} {
		r.status.Store(status)
		if refusal := r.DiagnoseUnauthorized(t.Context(), d, refused); refusal != nil {
			t.Errorf("%d: %v", status, refusal)
		}
	}
	r.status.Store(401)
	other := *refused
	other.Member.UID = "9"
	if refusal := r.DiagnoseUnauthorized(t.Context(), d, &other); refusal != nil {
		t.Error("another grant than the one that was refused is put aside")
	}
	if refusal := r.DiagnoseUnauthorized(t.Context(), d, refused); refusal == nil || refusal.Code != delegation.ConsentRequired {
		t.Errorf("%v", refusal)
	}
	if r.uid("bob") != "" || r.uid("alice") != "1" {
		t.Error("bob is in, or alice is not")
	}
	aside := 1
	for _, name := range []string{"c", "d", "e", "f", "g"} {
		h := mustDecode(t, r.connect(name, name))
		d := &delegation.Delegation{Provider: "mydex", Person: someone(name), Method: "GET", Path: "/timeline"}
		if r.DiagnoseUnauthorized(t.Context(), d, &Credential{Token: freshToken, Member: h.member, Placement: IdentityPlacement{style: Blocks}}) != nil {
			aside++
		}
	}
	if aside != 3 {
		t.Errorf("%d were put aside at once", aside)
	}
}

// TestForgottenInFlight protects somebody who leaves while their grant is being
// read for another request of theirs: who asks after that does not get it.
func TestForgottenInFlight(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	who := someone("alice")
	since := r.grantCache.dropCount(who)
	h, err := r.loadGrant(t.Context(), who, since) // a flight that began before
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Disconnect(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	r.grantCache.putUnlessDropped(who, h, since)
	if uid := r.uid("alice"); uid != "" {
		t.Errorf("used as %s", uid)
	}
}
