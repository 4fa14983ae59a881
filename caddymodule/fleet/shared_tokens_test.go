// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// TestMintedOnceForAll protects the issuer: what one machine has minted the
// others use, also when all of them ask at the same time, before they are
// connected.
func TestMintedOnceForAll(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	i := new(issuer)
	var machines []*machine
	for range 4 {
		machines = append(machines, boot(t, i, Options{URL: s.url(), Sealer: keys}))
	}
	const people = 300
	var (
		mu  sync.Mutex
		got = make(map[string][]string)
		wg  sync.WaitGroup
	)
	for _, m := range machines {
		for n := range people {
			wg.Go(func() {
				id := person(fmt.Sprint(n))
				token, _, err := m.view.Get(t.Context(), id)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				got[id.Subject] = append(got[id.Subject], token.Access.Reveal())
			})
		}
	}
	wg.Wait()
	if n := i.mints.Load(); n != people {
		t.Errorf("%d mints for %d people", n, people)
	}
	all := make(map[string]bool)
	for who, these := range got {
		if len(slices.Compact(these)) != 1 {
			t.Errorf("%s has %d tokens", who, len(these))
		}
		all[these[0]] = true
	}
	if len(all) != people {
		t.Errorf("%d tokens for %d people", len(all), people)
	}
	for _, m := range machines {
		if st := m.member.Status(); !st.Up || st.Failures != 0 || st.Pending != 0 || st.Kind != "redis" {
			t.Errorf("status %+v", st)
		}
	}
}

// TestTokenSurvivesTheWay protects what the engine decides by: scope and times
// arrive as they were.
func TestTokenSurvivesTheWay(t *testing.T) {
	i, a, b := pair(t, serve(t), Options{})
	i.set(func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
		tok := i.fresh()
		tok.Access = delegation.NewSecret("not UTF-8: \xff\x00")
		return tok, nil
	})
	want, _, err := a.view.Get(t.Context(), person("alice"))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := b.view.Get(t.Context(), person("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Same(want) || got.Scope != want.Scope || !got.Minted.Equal(want.Minted) || !got.Expires.Equal(want.Expires) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestNamespacesAreApart protects providers from each other: the same key in
// another space is another place, and so is another identity's.
func TestNamespacesAreApart(t *testing.T) {
	s := serve(t)
	i, a, _ := pair(t, s, Options{})
	id := person("alice")
	token := func(space, key string) string {
		got, err := a.fleet.Join(space, func(delegation.Selection, time.Time) {}).Token(t.Context(), key, &id,
			func(*delegation.Token) bool { return true },
			func(context.Context) (*delegation.Token, error) { return i.fresh(), nil })
		if err != nil {
			t.Fatal(err)
		}
		return got.Access.Reveal()
	}
	first := token("one", "key")
	if token("two", "key") == first || token("one", "other") == first {
		t.Error("one token in two places")
	}
	if token("one", "key") != first {
		t.Error("a new token in the same place")
	}
}

// TestStaleIsReplaced protects the recovery from a 401: a stored token that
// does not serve is minted anew, once for all machines.
func TestStaleIsReplaced(t *testing.T) {
	i, a, b := pair(t, serve(t), Options{})
	id := person("alice")
	a.get(t, id)
	b.get(t, id)
	stale, _, _ := a.view.Get(t.Context(), id)
	var wg sync.WaitGroup
	for _, m := range []*machine{a, b} {
		for range 10 {
			wg.Go(func() {
				fresh, err := m.view.Renew(t.Context(), id, stale)
				if err != nil || fresh.Same(stale) {
					t.Errorf("renewed to the stale token, %v", err)
				}
			})
		}
	}
	wg.Wait()
	if n := i.mints.Load(); n != 2 {
		t.Errorf("%d mints, want 2", n)
	}
}

// TestExpiredIsMinted protects from a token whose time is over, and from
// storing what nobody could use.
func TestExpiredIsMinted(t *testing.T) {
	s := serve(t)
	i, a, b := pair(t, s, Options{})
	i.set(func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
		tok := i.fresh()
		tok.Expires = tok.Minted
		return tok, nil
	})
	a.get(t, person("alice"))
	if keys := s.keys("*"); len(s.keys("token"))+len(s.keys("lease")) != 0 {
		t.Errorf("kept: %v", keys)
	}
	i.set(nil)
	if b.get(t, person("alice")) != "canary-token-2" {
		t.Error("an expired token was used")
	}
	if ttl := s.do("PTTL", s.keys("token")[0]); !strings.HasPrefix(ttl, "359") && ttl != "3600000" {
		t.Errorf("kept for %s ms, want an hour", ttl)
	}
}

// TestDeadlineIsNotAnOutage protects sharing: that a flight's time is over
// while Redis has not answered yet does not mean that it is down.
func TestDeadlineIsNotAnOutage(t *testing.T) {
	s := serve(t)
	i, a, _ := pair(t, s, Options{Timeout: 10 * time.Second})
	a.get(t, person("alice"))
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, err := a.token(ctx, "key", func(context.Context) (*delegation.Token, error) { return i.fresh(), nil })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	if !a.fleet.Up() || a.member.Status().Failures != 0 {
		t.Error("redis was blamed")
	}
}

// TestMintFails protects the others from one machine's failure: its error is
// the mint's own, and the next one tries at once.
func TestMintFails(t *testing.T) {
	i, a, b := pair(t, serve(t), Options{Lease: time.Minute})
	i.set(func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
		return nil, delegation.Refuse(delegation.DelegationRefused, nil)
	})
	if _, _, err := a.view.Get(t.Context(), person("alice")); delegation.AsRefusal(err).Code != delegation.DelegationRefused {
		t.Errorf("got %v", err)
	}
	i.set(nil)
	began := time.Now()
	b.get(t, person("alice"))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("waited %s for a lease that nobody needs", took)
	}
}

// TestGivesUpWithTheFlight protects flights: whoever waits for another
// machine's mint stops when the context ends, and Redis is not blamed.
func TestGivesUpWithTheFlight(t *testing.T) {
	s := serve(t)
	i, a, b := pair(t, s, Options{})
	release := make(chan struct{})
	began := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := a.token(t.Context(), "key", func(context.Context) (*delegation.Token, error) {
			close(began)
			<-release
			return i.fresh(), nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wg.Go(func() {
		until(t, 5*time.Second, "it waits", func() bool { return b.fleet.waiting() == 1 })
		cancel()
	})
	_, err := b.token(ctx, "key", func(context.Context) (*delegation.Token, error) { return i.fresh(), nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	wg.Wait()
	if !b.fleet.Up() || b.member.Status().Failures != 0 {
		t.Error("redis was blamed")
	}
	if n := i.mints.Load(); n != 1 {
		t.Errorf("%d mints", n)
	}
}

// TestSourcesShareANamespace protects people from one vendor's token being found
// for another: the engines of a provider's sources share a namespace, so that one
// purge reaches them all, and no token.
func TestSourcesShareANamespace(t *testing.T) {
	i, a, b := pair(t, serve(t), Options{})
	source := tokens.New(tokens.Options{}) // of b
	member := b.fleet.Join("space", func(s delegation.Selection, _ time.Time) { source.PurgeLocal(s) })
	defer member.Leave()
	source.SetShared(member)
	view := source.Attach(b)
	defer view.Detach()

	own, garmin := person("alice"), person("alice")
	garmin.Source = "garmin"
	first := a.get(t, own)
	if got := b.get(t, own); got != first {
		t.Error("the machines share no token")
	}
	token, _, err := view.Get(t.Context(), garmin)
	if err != nil || token.Access.Reveal() == first || i.mints.Load() != 2 {
		t.Errorf("%d mints, %v; want the source to have its own token", i.mints.Load(), err)
	}
	if err := a.engine.Purge(t.Context(), delegation.Selection{Realm: "r", Subject: "alice"}); err != nil {
		t.Fatal(err)
	}
	until(t, 5*time.Second, "the purge has reached both engines", func() bool {
		return b.engine.Status().Entries == 0 && source.Status().Entries == 0
	})
	if again, _, err := view.Get(t.Context(), garmin); err != nil || again.Same(token) {
		t.Errorf("the purged token was fetched again: %v", err)
	}
}
