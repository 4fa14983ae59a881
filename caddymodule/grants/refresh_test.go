// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestT62_RefreshTokenUsedTwice protects people's consents from four machines whose
// access tokens of everybody end together, with a platform that ends a consent when
// a refresh token comes twice: one call for each person, and all machines have what
// it has led to. REFRESHES=10000 has it do as many.
func TestT62_RefreshTokenUsedTwice(t *testing.T) {
	people := numberOf(t, "REFRESHES", 100)
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		const machines = 4
		var stores []*Store
		for range machines {
			stores = append(stores, opened(t, at))
		}
		i := newIssuer(false)
		names := make([]string, people)
		for n := range names {
			names[n] = "user-" + strconv.Itoa(n)
		}
		oauthGrants(t, stores[0], i, names...)
		began := time.Now()
		// The four machines ask for the same person at about the same time.
		crowd(people*machines, func(n int) {
			who := names[n/machines]
			g, err := refreshed(stores[n%machines], i, who)
			if err != nil {
				t.Errorf("%s: %v", who, err)
			} else if !i.accepts(who, g.Tokens.Access) {
				t.Errorf("%s has a token that is not the last one", who)
			}
		})
		took := time.Since(began)
		if calls, reused := i.counts(); calls != people || reused != 0 {
			t.Errorf("%d calls for %d people, %d with a spent token", calls, people, reused)
		}
		for _, who := range names {
			hasTokens(t, stores[0], i, who, 1)
		}
		var left int
		if err := stores[0].db.QueryRowContext(t.Context(), "SELECT count(*) FROM grants WHERE intent <> 0 OR attempts <> 0 OR lease_until <> 0").Scan(&left); err != nil || left != 0 {
			t.Errorf("%d leases or intents are left, %v", left, err)
		}
		t.Logf("%d people on %d machines: %v, %.0f refreshes a second", people, machines, took.Round(time.Millisecond), float64(people)/took.Seconds())
	})
}

// TestRefreshReadsFirst protects the platform, and a refresh token, from a machine
// whose memory has an older access token than the database.
func TestRefreshReadsFirst(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		oauthGrant(t, s, i, "alice")
		for range 3 {
			if _, err := refreshed(s, i, "alice"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.RefreshGrant(t.Context(), owner("alice"), delegation.Secret{}, callTimeout, i.spend); err != nil {
			t.Error(err)
		}
		if calls, _ := i.counts(); calls != 1 {
			t.Errorf("%d calls", calls)
		}
		_, err := refreshed(s, i, "nobody")
		want(t, "nobody", err, ErrNotFound)
		if done, err := s.Suspend(t.Context(), found(t, s, "alice"), "refused"); !done || err != nil {
			t.Fatal(done, err)
		}
		_, err = s.RefreshGrant(t.Context(), owner("alice"), i.tokens("alice", 1).Access, callTimeout, i.spend)
		want(t, "suspended", err, ErrSuspended)
		if calls, _ := i.counts(); calls != 1 {
			t.Errorf("%d calls, of a suspended one too", calls)
		}
	})
}

// TestRefreshWaits protects the person who asks on another machine: it waits for the
// one that has the lease, as long as that lives.
func TestRefreshWaits(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		a, b, i := opened(t, at), opened(t, at), newIssuer(false)
		oauthGrant(t, a, i, "alice")
		inCall, answer := make(chan struct{}), make(chan struct{})
		slow := func(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
			close(inCall)
			<-answer
			return i.spend(ctx, g, uncertain)
		}
		results := make(chan error, 2)
		go func() {
			_, err := a.RefreshGrant(context.Background(), owner("alice"), i.tokens("alice", 0).Access, callTimeout, slow)
			results <- err
		}()
		<-inCall
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, err := b.RefreshGrant(gone, owner("alice"), i.tokens("alice", 0).Access, callTimeout, i.spend)
		want(t, "who has left", err, ErrUnavailable)
		go func() {
			_, err := refreshed(b, i, "alice")
			results <- err
		}()
		close(answer)
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if calls, reused := i.counts(); calls != 1 || reused != 0 {
			t.Errorf("%d calls, %d reused", calls, reused)
		}
	})
}

// TestRefreshAfterDeath protects a person whose machine has died while it called the
// platform: another one goes on when the lease has lapsed, and is told that the
// token may be spent. With a platform that answers it once more nothing is lost;
// with one that does not it is tried once, and the person is asked to consent anew.
func TestRefreshAfterDeath(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		for _, i := range []*issuer{newIssuer(true), newIssuer(false)} {
			who := fmt.Sprint("grace-", i.grace)
			g := oauthGrant(t, s, i, who)
			l := leased(t, s, g, LeaseRefresh)
			if _, err := i.refresh(l.Grant.Tokens.Refresh.Reveal()); err != nil {
				t.Fatal(err)
			} // and it dies
			lapse(t, s)
			var told atomic.Bool
			spend := func(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
				told.Store(uncertain)
				return i.spend(ctx, g, uncertain)
			}
			now, err := s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, spend)
			if !told.Load() {
				t.Error("the provider is not told that the token may be spent")
			}
			if i.grace {
				if err != nil || !i.accepts(who, now.Tokens.Access) {
					t.Errorf("with grace: %v", err)
				}
				continue
			}
			if r, ok := errors.AsType[*delegation.Refusal](err); !ok || r.Code != delegation.DelegationRefused || now == nil {
				t.Fatalf("without grace: %v, %v", now, err)
			}
			if done, err := s.Suspend(t.Context(), now, "refused"); !done || err != nil {
				t.Errorf("the grant that is returned can be suspended: %v %v", done, err)
			}
			_, err = s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, spend)
			want(t, "from then on", err, ErrSuspended)
			if i.of(who).late[0] != 1 {
				t.Errorf("the spent token came %d times again", i.of(who).late[0])
			}
		}
	})
}

// TestRefreshFailures protects a grant from the failures of a platform: only what
// may have spent the refresh token leaves an intent, and a refusal counts for
// nothing if somebody else has stored other tokens meanwhile.
func TestRefreshFailures(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, s, i, "alice")
		for _, c := range []struct {
			err      error
			attempts int64
		}{
			{delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("no connection: %w", delegation.ErrNotSent)), 0},
			{delegation.Refuse(delegation.CredentialsRejected, nil), 0},
			{delegation.Refuse(delegation.IssuerThrottled, nil), 0},
			{delegation.Refuse(delegation.DelegationRefused, nil), 0},
			{delegation.Refuse(delegation.IssuerUnavailable, errors.New("no answer in time")), 1},
			{delegation.Refuse(delegation.IssuerUnavailable, delegation.ErrNotSent), 1}, // does not know of the one before
		} {
			now, err := s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) { return nil, c.err })
			if !errors.Is(err, c.err) || now == nil || now.Version != g.Version {
				t.Errorf("%v: %v, %v", c.err, now, err)
			}
			if _, attempts, until := columns(t, s, g.ID); attempts != c.attempts || until != 0 {
				t.Errorf("%v: %d attempts, leased until %d", c.err, attempts, until)
			}
		}
		_, err := s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) { return nil, nil })
		if delegation.AsRefusal(err).Code != delegation.IssuerUnavailable {
			t.Errorf("a provider that returns nothing: %v", err)
		}

		// One that was thought dead has stored its tokens; then ours are refused.
		bob := oauthGrant(t, s, i, "bob")
		slow := leased(t, s, bob, LeaseRefresh)
		lapse(t, s)
		now, err := s.RefreshGrant(t.Context(), bob.Owner, bob.Tokens.Access, callTimeout, func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
			if _, err := slow.Rotate(t.Context(), *i.tokens("bob", 1), nil); err != nil {
				t.Error(err)
			}
			return nil, delegation.Refuse(delegation.DelegationRefused, errInvalidGrant)
		})
		if err != nil || now.Tokens.Access.Reveal() != "bob/access/1" {
			t.Errorf("%v, %v", now, err)
		}
	})
}
