// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func leased(t *testing.T, s *Store, g *Grant, purpose LeasePurpose) *Lease {
	t.Helper()
	l, err := s.Lease(t.Context(), g, purpose, callTimeout)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// columns returns the columns of a lease.
func columns(t *testing.T, s *Store, id string) (intent, attempts, until int64) {
	t.Helper()
	if err := s.queryRow(t.Context(), s.db, func(row scanner) error { return row.Scan(&intent, &attempts, &until) },
		"SELECT intent, attempts, lease_until FROM grants WHERE id = ", id, ""); err != nil {
		t.Fatal(err)
	}
	return intent, attempts, until
}

// TestLease protects a refresh token from two machines that spend it at once: one of
// many has the lease, and the others learn for how long.
func TestLease(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		stores := []*Store{opened(t, at), opened(t, at), opened(t, at), opened(t, at)}
		g := oauthGrant(t, stores[0], newIssuer(false), "alice")
		var won atomic.Pointer[Lease]
		crowd(40, func(n int) {
			l, err := stores[n%4].Lease(t.Context(), g, LeaseRefresh, callTimeout)
			if err == nil && !won.CompareAndSwap(nil, l) {
				t.Error("two have it")
			}
			if e, ok := errors.AsType[*LeasedError](err); err != nil && (!ok || e.For <= 0 || e.For > callTimeout+leaseMargin) {
				t.Errorf("%v", err)
			}
		})
		l := won.Load()
		if l == nil {
			t.Fatal("nobody has it")
		}
		if intent, attempts, _ := columns(t, stores[0], g.ID); intent != g.Version || attempts != 1 || l.Uncertain != 0 || l.Grant.Version != g.Version {
			t.Errorf("intent %d, attempts %d, uncertain %d", intent, attempts, l.Uncertain)
		}
	})
}

// TestLeaseEnds protects people from a refresh token that is held to be spent though
// nothing was sent, and from one that is held to be good though it may be spent.
func TestLeaseEnds(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, s, i, "alice")
		check := func(what string, wantIntent, wantAttempts int64, free bool) {
			t.Helper()
			intent, attempts, until := columns(t, s, g.ID)
			if intent != wantIntent || attempts != wantAttempts || (until == 0) != free {
				t.Errorf("%s: intent %d, attempts %d, until %d", what, intent, attempts, until)
			}
		}
		for _, purpose := range []LeasePurpose{LeaseProbe, LeaseRevoke, LeaseExchange} {
			l := leased(t, s, g, purpose)
			check(string(purpose), 0, 0, false)
			if _, err := s.Lease(t.Context(), g, LeaseRefresh, callTimeout); !errors.Is(err, ErrLeased) {
				t.Errorf("beside a %s: %v", purpose, err)
			}
			want(t, "release", l.Release(t.Context()), nil)
			check(string(purpose)+" is over", 0, 0, true)
		}
		want(t, "cancel", leased(t, s, g, LeaseRefresh).Cancel(t.Context()), nil)
		check("not sent", 0, 0, true)

		dead := leased(t, s, g, LeaseRefresh) // and does not come back
		lapse(t, s)
		second := leased(t, s, g, LeaseRefresh)
		if second.Uncertain != 1 {
			t.Errorf("after a machine that died: %d", second.Uncertain)
		}
		want(t, "a lease that has lapsed", dead.Release(t.Context()), nil)
		check("the second has it still", g.Version, 2, false)
		want(t, "cancel", second.Cancel(t.Context()), nil)
		check("the second has sent nothing", g.Version, 1, true)
		want(t, "the dead one was only slow, and has sent nothing", dead.Cancel(t.Context()), nil)
		check("nobody has", 0, 0, true)

		want(t, "an end that is not known", leased(t, s, g, LeaseRefresh).Release(t.Context()), nil)
		check("it may be spent", g.Version, 1, true)
		// Whoever changes the state does not make the credential certain.
		if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
			t.Fatal(done, err)
		}
		g = found(t, s, "alice")
		check("suspended", g.Version, 1, true)
		if _, err := leased(t, s, g, LeaseRefresh).Rotate(t.Context(), *i.tokens("alice", 1), nil); err != nil {
			t.Fatal(err)
		}
		check("rotated", 0, 0, true)
		if g = found(t, s, "alice"); g.State != Active || g.SuspendCause != "" || g.SuspendCount != 0 {
			t.Errorf("a credential that works: %s, %q", g.State, g.SuspendCause)
		}
		if err := s.Release(t.Context(), g.ID, "root"); err != nil {
			t.Fatal(err)
		}
		_, err := s.Lease(t.Context(), g, LeaseRefresh, callTimeout)
		want(t, "a grant that is not in use", err, ErrNotFound)
		_, err = s.Lease(t.Context(), &Grant{ID: "none"}, LeaseProbe, callTimeout)
		want(t, "no grant", err, ErrNotFound)
	})
}

// TestLeaseClocks protects a refresh token from a machine whose clock is wrong: a
// lease lasts as long for one that stands at the year 2000 as for one of today.
func TestLeaseClocks(t *testing.T) {
	address, err := postgresServer(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := Options{Postgres: address, Keyset: newKeyset(t)}
	s, i := opened(t, at), newIssuer(false)
	alice, bob := oauthGrant(t, s, i, "alice"), oauthGrant(t, s, i, "bob")
	held := leased(t, s, alice, LeaseRefresh)
	synctest.Test(t, func(t *testing.T) {
		behind, err := Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = behind.Close() }()
		_, err = behind.Lease(t.Context(), alice, LeaseRefresh, callTimeout)
		if e, ok := errors.AsType[*LeasedError](err); !ok || e.For <= 0 || e.For > callTimeout+leaseMargin {
			t.Errorf("one of today has it: %v", err)
		}
		if _, err := behind.Lease(t.Context(), bob, LeaseRefresh, callTimeout); err != nil {
			t.Error(err)
		}
		_, err = s.Lease(t.Context(), bob, LeaseRefresh, callTimeout)
		if e, ok := errors.AsType[*LeasedError](err); !ok || e.For <= 0 || e.For > callTimeout+leaseMargin {
			t.Errorf("one of 2000 has it: %v", err)
		}
	})
	if _, err := held.Rotate(t.Context(), *i.tokens("alice", 1), nil); err != nil {
		t.Error(err)
	}
}

// TestRotate protects a credential that was issued late from being thrown away, and
// a later consent from being overwritten by it.
func TestRotate(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		rotate := func(l *Lease, who string) error {
			_, err := l.Rotate(t.Context(), *i.tokens(who, 1), nil)
			return err
		}
		take := func(who string) (*Grant, *Lease) {
			g := oauthGrant(t, s, i, who)
			return g, leased(t, s, g, LeaseRefresh)
		}

		_, l := take("late")
		lapse(t, s)
		want(t, "after the lease", rotate(l, "late"), nil)
		hasTokens(t, s, i, "late", 1)
		want(t, "committed before, without a word of it", rotate(l, "late"), nil)

		g, l := take("suspended")
		if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
			t.Fatal(done, err)
		}
		want(t, "suspended meanwhile", rotate(l, "suspended"), nil)
		hasTokens(t, s, i, "suspended", 1)
		if g := found(t, s, "suspended"); g.State != Suspended || g.SuspendCause != "refused" || g.SuspendCount != 1 {
			t.Errorf("it is %s, %q: whether the new credential is accepted is not known", g.State, g.SuspendCause)
		}

		_, l = take("anew")
		connected(t, s, "anew", "account-anew", "of the later consent")
		want(t, "connected anew", rotate(l, "anew"), ErrReplaced)
		holds(t, s, "anew", "account-anew", "of the later consent")

		g, l = take("gone")
		if err := s.DeleteByOwner(t.Context(), g.Owner); err != nil {
			t.Fatal(err)
		}
		want(t, "forgotten", rotate(l, "gone"), ErrNotFound)
		holds(t, s, "gone", "", "")

		g, l = take("moved")
		if err := s.Move(t.Context(), g.ID, owner("mover"), "root"); err != nil {
			t.Fatal(err)
		}
		want(t, "moved", rotate(l, "moved"), nil)
		if g := found(t, s, "mover"); g.Tokens.Refresh.Reveal() != "moved/1" {
			t.Errorf("the mover has %s", g.Tokens.Refresh.Reveal())
		}
		holds(t, s, "moved", "", "")
	})
}

// TestRotateKeepsRefreshToken protects a refresh token that the platform goes on to
// accept, and does not repeat (RFC 6749 section 6).
func TestRotateKeepsRefreshToken(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, s, i, "alice")
		now, err := leased(t, s, g, LeaseRefresh).Rotate(t.Context(), delegation.GrantTokens{Access: delegation.NewSecret("a")}, []string{"read"})
		if err != nil || now.Version <= g.Version {
			t.Fatal(now, err)
		}
		if g = found(t, s, "alice"); g.Tokens.Access.Reveal() != "a" || g.Tokens.Refresh.Reveal() != "alice/0" || len(g.Scopes) != 1 || !g.Tokens.AccessExpires.IsZero() {
			t.Errorf("%+v %v", g.Tokens, g.Scopes)
		}
	})
}
