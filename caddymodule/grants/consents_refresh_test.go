// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestConsentsRefresh protects a refresh token from being spent more than once: of
// many calls one asks the platform, and what it has issued is in memory.
func TestConsentsRefresh(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-1"), Refresh: delegation.NewSecret("refresh-1")}
		if _, err := d.hands(d.Consents, "alice", d.begun("alice").BrowserToken, "1-a"); err != nil {
			t.Fatal(err)
		}
		var spent atomic.Int64
		spend := func(_ context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
			spent.Add(1)
			if g.Person != person("alice") || g.Decoded != "decoded key-1" || g.Tokens.Refresh.Reveal() != "refresh-1" || uncertain {
				t.Errorf("%+v", g)
			}
			return &delegation.GrantTokens{Access: delegation.NewSecret("access-2"), Refresh: delegation.NewSecret("refresh-2")}, nil
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				g, err := d.Refresh(t.Context(), person("alice"), delegation.NewSecret("access-1"), spend)
				if err != nil || g.Tokens.Access.Reveal() != "access-2" {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if g, err := d.Get(t.Context(), person("alice")); err != nil || g.Tokens.Access.Reveal() != "access-2" || spent.Load() != 1 {
			t.Errorf("spent %d times; %v", spent.Load(), err)
		}
		refuse := func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
			return nil, delegation.Refuse(delegation.DelegationRefused, errors.New("invalid_grant"))
		}
		if _, err := d.Refresh(t.Context(), person("alice"), delegation.NewSecret("access-2"), refuse); code(err) != delegation.DelegationRefused {
			t.Error(err)
		}
		if _, err := d.Refresh(t.Context(), person("bob"), delegation.NewSecret("x"), refuse); code(err) != delegation.ConsentRequired {
			t.Error(err)
		}
	})
}

// TestConsentsPairwiseID protects people from being known to a platform by what the
// app calls them, and the platform from seeing one person twice.
func TestConsentsPairwiseID(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		alice, err := d.PairwiseID(t.Context(), person("alice"))
		again, errAgain := d.PairwiseID(t.Context(), person("alice"))
		bob, errBob := d.PairwiseID(t.Context(), person("bob"))
		if err := errors.Join(err, errAgain, errBob); err != nil || len(alice) != 26 || again != alice || bob == alice {
			t.Errorf("%q %q %q %v", alice, again, bob, err)
		}
		if _, err := d.Withdraw(t.Context(), person("alice")); err != nil {
			t.Fatal(err)
		}
		if anew, err := d.PairwiseID(t.Context(), person("alice")); err != nil || anew == alice {
			t.Errorf("the same after disconnecting: %v", err)
		}
	})
}

// TestClockBehind protects a person whose browser comes back to a machine whose
// clock is behind, by years here: they are connected, also if they consent again.
func TestClockBehind(t *testing.T) {
	at := Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)}
	connected(t, opened(t, at), "alice", "1", "older") // by the clock of today
	synctest.Test(t, func(t *testing.T) {              // by one that stands at the year 2000
		d := newDesk(t, at, "callback")
		started := d.begun("alice")
		if err := d.callback(d.lastStart().CorrelationID.Reveal(), "1", "newer"); err != nil {
			t.Fatal(err)
		}
		if first, err := d.returns("alice", started, nil); !first || err != nil {
			t.Errorf("%t %v", first, err)
		}
		if g, err := d.Get(t.Context(), person("alice")); err != nil || g.Secret.Reveal() != "newer" {
			t.Errorf("the older credential is used: %v", err)
		}
		_ = d.o.Store.Close()
	})
}
