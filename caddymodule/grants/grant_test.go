// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestOneAccountOneOwner protects a member from being read by somebody else of
// the app: who comes second with the same account gets nothing, what they
// brought is kept for an operator, and the first one keeps theirs.
func TestOneAccountOneOwner(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice", "4020", "key-1")
		_, err := connect(s, "mallory", "4020", "key-2")
		want(t, "the same account", err, ErrConflict)
		_, err = connect(s, "mallory", "4020", "key-3")
		want(t, "again", err, ErrConflict)
		holds(t, s, "alice", "4020", "key-1")
		_, err = s.Find(t.Context(), owner("mallory"))
		want(t, "from then on", err, ErrConflict)
		list := all(t, s)
		if len(list) != 2 || list[1].State != Conflict || list[1].Subject != "mallory" {
			t.Fatalf("%+v", list)
		}

		// The operator finds that it is mallory's after all.
		want(t, "while it is held", s.Move(t.Context(), list[1].ID, owner("mallory"), "root"), ErrConflict)
		if err := s.Release(t.Context(), list[0].ID, "root"); err != nil {
			t.Fatal(err)
		}
		holds(t, s, "alice", "", "")
		if err := s.Move(t.Context(), list[1].ID, owner("mallory"), "root"); err != nil {
			t.Fatal(err)
		}
		holds(t, s, "mallory", "4020", "key-3")
		_, err = connect(s, "alice", "4020", "key-4")
		want(t, "the other way round", err, ErrConflict)
		want(t, "no such", s.Release(t.Context(), "none", "root"), ErrNotFound)
		var decisions int
		if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM decisions WHERE by = 'root'").Scan(&decisions); err != nil || decisions != 2 {
			t.Errorf("%d decisions are recorded, %v", decisions, err)
		}
	})
}

// TestReconnect protects a good key: another one of the same account takes its
// place, one of another account puts it aside, and nothing is lost.
func TestReconnect(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		first := connected(t, s, "alice", "1", "key-1")
		again := connected(t, s, "alice", "1", "key-2")
		if first.ID != again.ID {
			t.Error("it became another grant")
		}
		holds(t, s, "alice", "1", "key-2")
		connected(t, s, "alice", "9", "key-9")
		holds(t, s, "alice", "9", "key-9")
		list := all(t, s)
		if len(list) != 2 || list[0].State != Retired || list[1].State != Active {
			t.Fatalf("%+v", list)
		}
		// The account is free: somebody else may connect it.
		connected(t, s, "bob", "1", "key-3")
		holds(t, s, "bob", "1", "key-3")
		if err := s.DeleteByOwner(t.Context(), owner("alice")); err != nil {
			t.Fatal(err)
		}
		holds(t, s, "alice", "", "")
		holds(t, s, "bob", "1", "key-3")
		if list := all(t, s); len(list) != 1 {
			t.Errorf("alice is not forgotten: %+v", list)
		}
	})
}

// TestSuspend protects somebody who has just consented anew from a refusal of
// their old key that comes late, and the key of somebody who is suspended.
func TestSuspend(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		old := connected(t, s, "alice", "1", "key-1")
		if _, err := s.Suspend(t.Context(), old, "refused"); err != nil {
			t.Fatal(err)
		}
		g, err := s.Find(t.Context(), owner("alice"))
		if err != nil || g.State != Suspended || g.Secret.Reveal() != "key-1" {
			t.Fatalf("%+v %v", g, err)
		}
		_, err = connect(s, "bob", "1", "key-2")
		want(t, "an account that is suspended", err, ErrConflict)
		fresh := connected(t, s, "alice", "1", "key-3")
		old.Changed = old.Changed.Add(-1)
		if _, err := s.Suspend(t.Context(), old, "refused"); err != nil {
			t.Fatal(err)
		}
		if g, err = s.Find(t.Context(), owner("alice")); err != nil || g.State != Active || g.ID != fresh.ID {
			t.Errorf("%+v %v; want it active", g, err)
		}
	})
}

// TestOwnersAreApart protects people whose names look alike: every part of an
// owner matters.
func TestOwnersAreApart(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		owners := []Owner{
			{Provider: "p", Person: delegation.Person{Realm: "r", Subject: "ab"}},
			{Provider: "p", Person: delegation.Person{Realm: "ra", Subject: "b"}},
			{Provider: "p", Source: "r", Person: delegation.Person{Subject: "ab"}},
			{Provider: "pr", Person: delegation.Person{Subject: "ab"}},
			{Provider: "p", Person: delegation.Person{Realm: "r", Subject: "a"}, Slot: "b"},
			{Provider: "p", Person: delegation.Person{Realm: "r", Subject: "AB"}},
			{Provider: "p", Person: delegation.Person{Realm: "r", Subject: "ab "}},
			{Provider: "p", Person: delegation.Person{Realm: "r", Subject: "a%' OR 1=1 --"}},
		}
		for i, o := range owners {
			if _, err := s.Find(t.Context(), o); err == nil {
				t.Fatalf("%+v has one already", o)
			}
			j := &Flow{Owner: o, Kind: FlowConnect}
			account := string(rune('a' + i))
			if err := s.Begin(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			if err := s.Stage(t.Context(), o.Provider, o.Source, j.CorrelationID.Reveal(), pendingResult(account, account)); err != nil {
				t.Fatal(err)
			}
			if g, _, err := s.Complete(t.Context(), Return{Owner: o, StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal(), AnyBrowser: true}); err != nil || g.Secret.Reveal() != account {
				t.Fatal(err)
			}
		}
		for i, o := range owners {
			if g, err := s.Find(t.Context(), o); err != nil || g.Account != string(rune('a'+i)) || g.Owner != o {
				t.Errorf("%+v: %+v %v", o, g, err)
			}
		}
	})
}

// TestT44_NothingInClear protects people from whoever reads the database: no
// name, account, key or token is in it.
func TestT44_NothingInClear(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice-CANARY", "account-CANARY", "key-CANARY")
		_, _ = connect(s, "bob-CANARY", "account-CANARY", "key-CANARY")
		j := &Flow{Owner: owner("carol-CANARY"), Kind: FlowConnect}
		if err := s.Begin(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		canaries := []string{"CANARY", j.CorrelationID.Reveal(), j.StateToken.Reveal(), j.BrowserToken.Reveal(), "app"}
		for _, table := range []string{"grants", "journeys", "decisions"} {
			for _, value := range dump(t, s, table) {
				for _, canary := range canaries {
					if strings.Contains(value, canary) {
						t.Errorf("%s holds %s", table, canary)
					}
				}
			}
		}
		if len(dump(t, s, "grants")) < 20 {
			t.Error("nothing was looked at")
		}
	})
}

// TestT44_RowsDoNotTrade protects a member from whoever can write to the
// database: what is copied to somebody else's row does not open there.
func TestT44_RowsDoNotTrade(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		alice, mallory := connected(t, s, "alice", "1", "key-a"), connected(t, s, "mallory", "2", "key-m")
		mark := s.dialect.placeholder
		set := "UPDATE grants SET secret = (SELECT secret FROM grants WHERE id = " + mark(1) + ") WHERE id = " + mark(2)
		alter(t, s, set, alice.ID, mallory.ID)
		_, err := s.Find(t.Context(), owner("mallory"))
		want(t, "a secret that was copied", err, ErrDamaged)
		alter(t, s, "UPDATE grants SET owner = (SELECT owner FROM grants WHERE id = "+mark(1)+") WHERE id = "+mark(2), alice.ID, mallory.ID)
		_, err = s.Find(t.Context(), owner("mallory"))
		want(t, "an owner that was copied", err, ErrDamaged)
		alter(t, s, "UPDATE grants SET state = 'retired' WHERE id = "+mark(1), mallory.ID)
		alter(t, s, "UPDATE grants SET person = (SELECT person FROM grants WHERE id = "+mark(1)+") WHERE id = "+mark(2), mallory.ID, alice.ID)
		_, err = s.Find(t.Context(), owner("mallory"))
		want(t, "another's name on a row", err, ErrDamaged)
	})
}

// alter changes the database behind the store's back.
func alter(t *testing.T, s *Store, text string, args ...any) {
	t.Helper()
	if _, err := s.db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, s *Store) (list []*Grant) {
	t.Helper()
	if err := s.ForEach(context.Background(), func(g *Grant) error {
		if g.Secret.Reveal() != "" {
			t.Error("a list holds secrets")
		}
		list = append(list, g)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(list, func(a, b *Grant) int { return a.Created.Compare(b.Created) })
	return list
}

// dump returns all values of a table.
func dump(t *testing.T, s *Store, table string) (values []string) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	for rows.Next() {
		row, into := make([][]byte, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, v := range row {
			values = append(values, string(v))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}
