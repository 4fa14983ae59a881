// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// newTeller is an import of a vendor that is told who has left, by the client "vendor app".
func newTeller(t *testing.T, at Options) *importRig {
	t.Helper()
	r := newImportRig(t, at, newImporter(false))
	r.o.Client = "vendor app"
	return r
}

// TestImportUnfinished protects a user from a second file that has another token of
// theirs, while the import of the first is not over: nothing says that they are
// connected, and what has to be done is said.
func TestImportUnfinished(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		r := newTeller(t, at)
		first := r.vendor.lineOf("alice")
		begun, err := r.store.BeginImport(t.Context(), &Grant{Owner: owner("alice"), Account: "account-alice", Tokens: *r.vendor.issuer.tokens("alice", 0)}, first.Token(), false)
		if err != nil {
			t.Fatal(err) // and the process was killed
		}
		second := r.vendor.lineOf("alice")
		second.Refresh = delegation.NewSecret("alice/another")
		r.imports(second, ImportConflict, "import that one again first")
		want(t, "an operator deletes it", r.store.Delete(t.Context(), begun.ID, "root"), nil)
		r.imports(first, ImportedBefore, "")
		second.Refresh = r.vendor.issuer.tokens("bob", 0).Refresh
		r.imports(second, Imported, "")
	})
}

// TestImportOtherAccountAgain protects a consent from a vendor that detects reuse: the
// token of a grant that was found to be another account's is spent, and not sent again
// with those that the vendor has refused.
func TestImportOtherAccountAgain(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		r := newTeller(t, at)
		r.vendor.accounts["alice"] = "account-bob"
		r.imports(r.vendor.lineOf("alice"), ImportOtherAccount, "kept, retired")
		r.importsAgain(r.vendor.lineOf("alice"), true, ImportOtherAccount, "earlier run")
		if calls, reused := r.vendor.counts(); calls != 1 || reused != 0 {
			t.Errorf("%d calls, %d with the spent token", calls, reused)
		}
	})
}

// TestImportDropsRevocations protects an imported consent from what the vendor was still
// to be told of an earlier one of the same account, by whichever source of the same
// client. One that the vendor refuses drops nothing.
func TestImportDropsRevocations(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		r := newTeller(t, at)
		leave := func(account string) {
			t.Helper()
			o := owner("earlier " + account)
			o.Source = "another source"
			queueOf(t, r.store, &Grant{ID: newID(), Owner: o, Account: account, Client: "vendor app", State: Retired})
		}
		leave("account-alice")
		leave("account-bob")
		r.vendor.fails = delegation.Refuse(delegation.DelegationRefused, errInvalidGrant)
		r.imports(r.vendor.lineOf("bob"), ImportRefused, "")
		r.vendor.fails = nil
		r.imports(r.vendor.lineOf("alice"), Imported, "")
		if got := queued(t, r.store); got != "account-bob" {
			t.Errorf("queued: %q", got)
		}
	})
}

// TestImportWhileLeaving protects somebody who leaves while their token is tried: the
// grant does not come back, and the vendor is told of the tokens that it has just issued.
func TestImportWhileLeaving(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		r := newTeller(t, at)
		begun, err := r.store.BeginImport(t.Context(), &Grant{Owner: owner("alice"), Account: "account-alice", Client: "vendor app", Tokens: *r.vendor.issuer.tokens("alice", 0)}, r.vendor.lineOf("alice").Token(), false)
		if err != nil {
			t.Fatal(err)
		}
		l := leased(t, r.store, begun, LeaseRefresh)
		want(t, "leaving", r.store.DeleteByOwner(t.Context(), begun.Owner), nil)
		want(t, "the vendor's answer", l.FinishImport(t.Context(), &delegation.ConsentResult{Tokens: *r.vendor.issuer.tokens("alice", 1)}, importUsed), ErrNotFound)
		_, err = r.store.Find(t.Context(), begun.Owner)
		want(t, "alice has left", err, ErrNotFound)
		if got := queued(t, r.store); got != "account-alice" {
			t.Errorf("queued: %q", got)
		}
	})
}

// TestImportLabel protects somebody from being shown the name of another person's
// account, by a table of which two lines were exchanged, while the vendor cannot be asked
// whose account it is.
func TestImportLabel(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		r := newTeller(t, at)
		begun, err := r.store.BeginImport(t.Context(), &Grant{Owner: owner("alice"), Account: "account-alice", Label: "alice", Tokens: *r.vendor.issuer.tokens("alice", 0)}, r.vendor.lineOf("alice").Token(), false)
		if err != nil {
			t.Fatal(err)
		}
		l := leased(t, r.store, begun, LeaseRefresh)
		want(t, "the vendor's answer", l.FinishImport(t.Context(), &delegation.ConsentResult{Label: "bob", Tokens: *r.vendor.issuer.tokens("alice", 1)}, importUnverified), nil)
		if g := found(t, r.store, "alice"); g.Label != "alice" || g.Tokens.Refresh.Reveal() != "alice/1" {
			t.Errorf("%s, %s", g.Label, g.Tokens.Refresh.Reveal())
		}
	})
}

// queueOf has the vendor told of a grant that has ended, later.
func queueOf(t *testing.T, s *Store, g *Grant) {
	t.Helper()
	want(t, "queueing", s.write(t.Context(), "queueing", func(ctx context.Context, tx querier) error { return s.queueRevocation(ctx, tx, g) }), nil)
}
