// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// eventually calls f until it is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: ", what)
		}
	}
}

// TestCommitFails protects tokens that a platform has issued, and cannot issue a
// second time, from a database that does not take them: they are kept, nobody asks
// the platform again, and they are there when the database is.
func TestCommitFails(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		other := opened(t, at)
		at.Timeout = 2 * time.Second // a slow disk takes less
		var warned atomic.Int64
		at.Warn = func(string, error) { warned.Add(1) }
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, other, i, "alice")
		var tx *sql.Tx
		_, err := s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, func(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
			// Another program holds the row from here on.
			var err error
			if tx, err = other.db.BeginTx(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if _, err := other.exec(t.Context(), tx, "UPDATE grants SET changed = changed WHERE id = ", g.ID, ""); err != nil {
				t.Error(err)
			}
			return i.spend(ctx, g, uncertain)
		})
		want(t, "the commit", err, ErrUnavailable)
		_, err = refreshed(s, i, "alice")
		want(t, "while it is in memory", err, ErrUnavailable)
		if calls, _ := i.counts(); calls != 1 || warned.Load() != 1 {
			t.Errorf("%d calls, %d warnings", calls, warned.Load())
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the tokens are stored", func() bool {
			g, err := refreshed(s, i, "alice")
			if err != nil && !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
			return err == nil && i.accepts("alice", g.Tokens.Access)
		})
		if calls, reused := i.counts(); calls != 1 || reused != 0 {
			t.Errorf("%d calls, %d reused", calls, reused)
		}
	})
}

// TestCommitFailsUntilClose protects the same tokens from the end of the process
// that comes before the next attempt: closing the store tries once more.
func TestCommitFailsUntilClose(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, err := Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		var attempts atomic.Int64
		var last bool
		s.commitLater("x", func(context.Context) error {
			select {
			case <-s.later.closing:
				last = true
				return nil
			default:
				attempts.Add(1)
				return ErrUnavailable
			}
		})
		eventually(t, "it is tried again", func() bool { return attempts.Load() > 1 && s.later.has("x") })
		if err := s.Close(); err != nil || !last || s.later.has("x") {
			t.Errorf("%v, tried at the end: %v", err, last)
		}
	})
}

// TestRefreshGoesOn protects the tokens from a client that leaves while the platform
// is called.
func TestRefreshGoesOn(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, s, i, "alice")
		ctx, leave := context.WithCancel(t.Context())
		if _, err := s.RefreshGrant(ctx, g.Owner, g.Tokens.Access, callTimeout, func(call context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
			leave()
			if deadline, ok := call.Deadline(); call.Err() != nil || !ok || time.Until(deadline) > callTimeout {
				t.Errorf("the call: %v, until %v", call.Err(), deadline)
			}
			return i.spend(call, g, uncertain)
		}); err != nil {
			t.Error(err)
		}
		hasTokens(t, s, i, "alice", 1)
	})
}

// TestRefreshOnFullDisk protects the tokens from a disk that is full.
func TestRefreshOnFullDisk(t *testing.T) {
	s, i := opened(t, Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)}), newIssuer(false)
	g := oauthGrant(t, s, i, "alice")
	s.db.SetMaxOpenConns(1) // the limit is a connection's
	limit := func(n int) {
		if _, err := s.db.ExecContext(context.Background(), "PRAGMA max_page_count = "+strconv.Itoa(n)); err != nil {
			t.Error(err)
		}
	}
	long := delegation.GrantTokens{Access: delegation.NewSecret(string(make([]byte, 50_000))), Refresh: delegation.NewSecret("alice/1")}
	_, err := s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
		limit(1)
		return &long, nil
	})
	want(t, "on a full disk", err, ErrUnavailable)
	limit(1 << 20)
	eventually(t, "the tokens are stored", func() bool {
		now, err := refreshed(s, i, "alice")
		return err == nil && now.Tokens.Access.Equal(long.Access)
	})
}

// TestT70_ForgottenDuringRefresh protects a person who withdraws while their tokens are
// being renewed: nothing of them comes back.
func TestT70_ForgottenDuringRefresh(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, s, i, "alice")
		_, err := s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, func(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
			if err := s.DeleteByOwner(context.Background(), owner("alice")); err != nil {
				t.Error(err)
			}
			return i.spend(ctx, g, uncertain)
		})
		want(t, "forgotten", err, ErrNotFound)
		if list := all(t, s); len(list) != 0 {
			t.Errorf("%d grants", len(list))
		}

		// Connected anew meanwhile: the later consent counts.
		g = oauthGrant(t, s, i, "bob")
		now, err := s.RefreshGrant(t.Context(), g.Owner, g.Tokens.Access, callTimeout, func(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
			f := stagedTokens(t, s, "bob", *i.tokens("bob-anew", 0))
			if _, _, err := s.Complete(context.Background(), f.returned()); err != nil {
				t.Error(err)
			}
			return i.spend(ctx, g, uncertain)
		})
		if err != nil || now.Tokens.Access.Reveal() != "bob-anew/access/0" {
			t.Errorf("%v, %v", now, err)
		}
	})
}
