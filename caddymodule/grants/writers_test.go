// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// inBetween runs do in a transaction that is committed when another, writer, waits
// for it: in PostgreSQL writer has read the row before, in SQLite it waits for its
// turn. It returns writer's error.
func inBetween(t *testing.T, s *Store, do func(ctx context.Context, tx querier) error, writer func() error) error {
	t.Helper()
	tx, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- writer() }()
	if s.dialect.lockWriters != "" {
		eventually(t, "the writer waits", func() bool {
			var waiting int
			// Outside of the transaction, which would see the same each time.
			err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting)
			if err != nil {
				t.Fatal(err)
			}
			return waiting > 0
		})
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// beforeAndAfter are two machines, of which the second has another primary key
// already, and an issuer.
func beforeAndAfter(t *testing.T, at Options) (s, writers *Store, i *issuer) {
	t.Helper()
	k := at.Keyset.(*keyset.Keyset)
	if err := k.Stage(); err != nil {
		t.Fatal(err)
	}
	young := copyOf(t, k)
	if err := young.Promote(); err != nil {
		t.Fatal(err)
	}
	after := at
	after.Keyset = young
	return opened(t, at), opened(t, after), newIssuer(false)
}

// TestT62_WritersBesideRotation protects a refresh token that has just been issued
// from every other writer of its row, which has read the one before, now spent: each
// sees that the row was changed, and begins anew.
func TestT62_WritersBesideRotation(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		s, writers, i := beforeAndAfter(t, at)
		for what, c := range map[string]struct {
			write func(g *Grant) error
			n     int // whose tokens the row has then; -1 for none
			state State
		}{
			"reseal":  {func(*Grant) error { _, err := writers.Reseal(t.Context(), "root"); return err }, 1, Active},
			"release": {func(g *Grant) error { return writers.Release(t.Context(), g.ID, "root") }, 1, Retired},
			"move":    {func(g *Grant) error { return writers.Move(t.Context(), g.ID, owner("mover"), "root") }, 1, Active},
			"move to who has another": {func(g *Grant) error {
				other := connected(t, writers, "other", "other", "key")
				return writers.Move(t.Context(), other.ID, g.Owner, "root")
			}, 1, Retired},
			"rename": {func(*Grant) error { _, err := writers.Rename(t.Context(), "mydex", "renamed", "root"); return err }, 1, Active},
			"suspend": {func(g *Grant) error {
				done, err := writers.Suspend(t.Context(), g, "refused")
				if done {
					t.Error("suspended for the credential before")
				}
				return err
			}, 1, Active},
			"resume": {func(g *Grant) error {
				if _, err := writers.Resume(t.Context(), g, true); !errors.Is(err, ErrNotFound) {
					t.Errorf("resumed by what was read before: %v", err)
				}
				return nil
			}, 1, Active},
			"connect anew": {func(*Grant) error {
				f := stagedTokens(t, writers, "alice", *i.tokens("anew", 7))
				_, _, err := writers.Complete(t.Context(), f.returned())
				return err
			}, 7, Active},
			"forget": {func(g *Grant) error { return writers.DeleteByOwner(t.Context(), g.Owner) }, -1, ""},
			"delete": {func(g *Grant) error { return writers.Delete(t.Context(), g.ID, "root") }, -1, ""},
		} {
			t.Run(what, func(t *testing.T) {
				alter(t, s, "DELETE FROM grants")
				g := oauthGrant(t, s, i, "alice")
				if what == "resume" {
					if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
						t.Fatal(done, err)
					}
					g = found(t, s, "alice")
				}
				l := leased(t, s, g, LeaseRefresh)
				if err := inBetween(t, s, func(ctx context.Context, tx querier) error {
					_, err := l.rotateIn(ctx, tx, *i.tokens("alice", 1), nil)
					return err
				}, func() error { return c.write(g) }); err != nil {
					t.Fatal(err)
				}
				now, err := writers.byID(t.Context(), writers.db, g.ID)
				if c.n < 0 {
					want(t, "the grant", err, ErrNotFound)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				whose := map[int]string{1: "alice", 7: "anew"}[c.n]
				if now.Tokens.Refresh.Reveal() != i.tokens(whose, c.n).Refresh.Reveal() || now.State != c.state {
					t.Errorf("it is %s, with %s", now.State, now.Tokens.Refresh.Reveal())
				}
			})
		}
	})
}

// TestRotationBesideWriters protects a refresh token that has just been issued from
// a row that is sealed anew, or changed otherwise, while it is being stored.
func TestRotationBesideWriters(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		s, writers, i := beforeAndAfter(t, at)
		g := oauthGrant(t, s, i, "alice")
		l := leased(t, s, g, LeaseRefresh)
		var now *Grant
		if err := inBetween(t, writers, func(ctx context.Context, tx querier) error {
			n, err := writers.resealGrants(ctx, tx)
			if n != 1 {
				t.Errorf("%d sealed anew", n)
			}
			return err
		}, func() (err error) {
			now, err = l.Rotate(t.Context(), *i.tokens("alice", 1), nil)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		hasTokens(t, writers, i, "alice", 1)
		if now.Version != g.Version+1 {
			t.Errorf("version %d after %d: sealing anew makes no other version", now.Version, g.Version)
		}
	})
}

// TestChangedAgainAndAgain protects a writer from trying forever.
func TestChangedAgainAndAgain(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, times := opened(t, at), 0
		err := s.write(t.Context(), "trying", func(context.Context, querier) error { times++; return errChanged })
		want(t, "at last", err, ErrUnavailable)
		if times != maxRereads {
			t.Errorf("%d times", times)
		}
	})
}
