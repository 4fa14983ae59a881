// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestT70_LeftDuringRefresh protects people whose consent ends while the vendor is asked
// for their next token, because they leave or because its date comes: nothing of them
// comes back, and what the vendor has issued meanwhile is revoked as well. Control: with
// neither, the token is theirs.
func TestT70_LeftDuringRefresh(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		for name, end := range map[string]func(){
			"stays": func() {},
			"leaves": func() {
				if _, err := d.Withdraw(t.Context(), person("alice")); err != nil {
					t.Error(err)
				}
			},
			"ends": func() {
				if err := SetEnds(t.Context(), []*Consents{d.Consents}, person("alice"), time.Now().Add(-time.Second)); err != nil {
					t.Error(err)
				}
				if _, err := d.endDue(t.Context(), d.store); err != nil {
					t.Error(err)
				}
			},
		} {
			vendor.answers(nil)
			d.connects("alice", "1")
			g, err := d.Refresh(t.Context(), person("alice"), delegation.NewSecret("access-of-1"), func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
				end()
				return &delegation.GrantTokens{Access: delegation.NewSecret("access-2"), Refresh: delegation.NewSecret("refresh-2"), AccessExpires: time.Now().Add(time.Hour)}, nil
			})
			if name == "stays" {
				if err != nil || g.Tokens.Access.Reveal() != "access-2" || d.account("alice") != "1" {
					t.Errorf("%s: %+v, %v", name, g, err)
				}
				continue
			}
			if code(err) != delegation.ConsentRequired {
				t.Errorf("%s: %v", name, err)
			}
			if list := all(t, d.store); len(list) != 0 || d.account("alice") != "" {
				t.Errorf("%s: %d grants came back", name, len(list))
			}
			d.housekeeps()
			if got := vendor.toldWith(); got != "access-2" || queued(t, d.store) != "" {
				t.Errorf("%s: told with %q, queued %q", name, got, queued(t, d.store))
			}
		}
	})
}

// TestEnds protects participants from an app that goes on with their data when their
// study has ended: from then on nobody uses the grant, it is deleted, and the vendor told.
// One whose end was put off meanwhile stays.
func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		var ended []string
		d.o.Ended = func(_ context.Context, who delegation.Person) { ended = append(ended, who.Subject) }
		set := func(name string, after time.Duration) {
			t.Helper()
			if err := SetEnds(t.Context(), []*Consents{d.Consents}, person(name), time.Now().Add(after)); err != nil {
				t.Error(err)
			}
		}
		for i, name := range []string{"alice", "bob", "carol"} {
			d.connects(name, string(rune('1'+i)))
		}
		set("alice", time.Hour)
		set("bob", -time.Second)
		if d.account("alice") != "1" || d.account("bob") != "" || d.account("carol") != "3" {
			t.Errorf("before the housekeeping they act as %q, %q and %q", d.account("alice"), d.account("bob"), d.account("carol"))
		}
		set("bob", time.Hour)
		d.housekeeps()
		if d.account("bob") != "2" || len(ended) != 0 || vendor.toldWith() != "" {
			t.Errorf("bob, put off: acts as %q; ended %q, told %q", d.account("bob"), ended, vendor.toldWith())
		}
		set("alice", -time.Second)
		d.housekeeps()
		if _, err := d.store.Find(t.Context(), owner("alice")); !errors.Is(err, ErrNotFound) || len(ended) != 1 || ended[0] != "alice" || vendor.toldWith() != "access-of-1" {
			t.Errorf("alice: %v; ended %q, told %q", err, ended, vendor.toldWith())
		}
		// Who is deleted as due, but was put off between the look and the deletion.
		if _, deleted, err := d.store.EndByOwner(t.Context(), owner("bob"), DeleteOptions{IfDue: true}); deleted != 0 || err != nil || d.account("bob") != "2" {
			t.Errorf("bob: %d deleted, %v", deleted, err)
		}
	})
}

// TestEndsOfFlow protects the same from a crash between the consent and the next request:
// the grant has the end that the session said when the flow was begun.
func TestEndsOfFlow(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, _ := newLeaverDesk(t, at)
		for _, ends := range []time.Time{time.Now().Add(time.Hour).Truncate(time.Millisecond), {}} {
			started, err := d.Start(t.Context(), StartRequest{Person: person("alice"), ReturnURL: "https://app.test/return", Ends: ends})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.hands(d.Consents, "alice", started.BrowserToken, "1-"+newID()); err != nil {
				t.Fatal(err)
			}
			if g, err := d.store.Find(t.Context(), owner("alice")); err != nil || !g.Ends.Equal(ends) {
				t.Errorf("ends %v, want %v, %v", g.Ends, ends, err)
			}
		}
	})
}

// TestEndsByIndex protects everybody's requests from one look at all grants of the
// provider each: the few of one person are found by the index.
func TestEndsByIndex(t *testing.T) {
	d, _ := newLeaverDesk(t, Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)})
	at := func(source string) Owner { o := owner("alice"); o.Source = source; return o }
	pieces := d.store.endingOtherwise([]Owner{at("lab"), at("watch")}, time.Now())
	pieces[0] = "EXPLAIN QUERY PLAN SELECT count(*) FROM grants" + pieces[0].(string)
	var plan string
	if err := d.store.queryRow(t.Context(), d.store.db, func(row scanner) error { var n int; return row.Scan(&n, &n, &n, &plan) }, pieces...); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plan, "(provider=? AND source=? AND person=?)") {
		t.Error(plan)
	}
}
