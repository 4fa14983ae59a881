// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// importer is a vendor's hooks, whose refresh tokens an issuer knows.
type importer struct {
	*platform
	*issuer
	accounts map[string]string // other than the operator says, by person
	fails    error             // instead of a call
	mute     bool              // whose account it is cannot be asked
}

func (*importer) ReadImport(i *delegation.GrantImport) (*delegation.ConsentResult, error) {
	if i.Account == "" {
		return nil, errors.New("account is missing")
	}
	return &delegation.ConsentResult{Account: i.Account, Tokens: delegation.GrantTokens{Refresh: i.Refresh}}, nil
}

func (v *importer) TryImport(_ context.Context, g *delegation.Grant, _ bool) (*delegation.ConsentResult, error) {
	if v.fails != nil {
		return nil, v.fails
	}
	tokens, err := v.refresh(g.Tokens.Refresh.Reveal())
	if err != nil {
		return nil, err
	}
	r := &delegation.ConsentResult{Tokens: *tokens, Account: v.accounts[g.Subject]}
	if v.mute {
		return r, delegation.Refuse(delegation.IssuerUnavailable, errors.New("no account"))
	}
	return r, nil
}

func (v *importer) RefreshGrant(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
	return v.spend(ctx, g, uncertain)
}

// importRig is a machine that imports, and its database.
type importRig struct {
	*Consents
	t      *testing.T
	vendor *importer
	store  *Store
}

func newImportRig(t *testing.T, at Options, vendor *importer) *importRig {
	t.Helper()
	at.Timeout = time.Minute
	lazy := NewLazyStore(at.File, func() (Options, error) { return at, nil })
	t.Cleanup(func() { _ = lazy.Close() })
	store, err := lazy.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &importRig{NewConsents(ConsentsOptions{
		Provider: "mydex", Store: lazy, Cache: NewCache(), Starter: vendor.platform, Prober: vendor.platform, Refresher: vendor, Importer: vendor,
	}), t, vendor, store}
}

func newImporter(grace bool) *importer {
	return &importer{platform: new(platform), issuer: newIssuer(grace), accounts: make(map[string]string)}
}

// lineOf is somebody's line, with their first refresh token.
func (v *importer) lineOf(who string) *delegation.GrantImport {
	return &delegation.GrantImport{Person: person(who), Account: "account-" + who, Refresh: v.issuer.tokens(who, 0).Refresh}
}

// imports wants a line to have a result, with some words of why.
func (r *importRig) imports(i *delegation.GrantImport, want ImportResult, words string) {
	r.t.Helper()
	r.importsAgain(i, false, want, words)
}

func (r *importRig) importsAgain(i *delegation.GrantImport, again bool, want ImportResult, words string) {
	r.t.Helper()
	got, err := r.Import(r.t.Context(), i, again)
	text := fmt.Sprint(err)
	if r, ok := errors.AsType[*delegation.Refusal](err); ok {
		text += " " + delegation.Explain(r)
	}
	if got != want || !strings.Contains(text, words) {
		r.t.Errorf("%s: %q, %v; want %q, %s", i.Subject, got, text, want, words)
	}
}

// TestImport protects the refresh tokens of a team's own table: each is spent once,
// however many import the same lines on several machines, and however often. IMPORTS=10000
// has it do as many.
func TestImport(t *testing.T) {
	people := numberOf(t, "IMPORTS", 20)
	each(t, func(t *testing.T, at Options) {
		const machines = 2
		v := newImporter(false)
		rigs := []*importRig{newImportRig(t, at, v), newImportRig(t, at, v)}
		for range 2 {
			began := time.Now()
			crowd(people*machines, func(n int) {
				who := fmt.Sprintf("user-%d", n/machines)
				if got, err := rigs[n%machines].Import(t.Context(), v.lineOf(who), false); err != nil || got != Imported && got != ImportedBefore {
					t.Errorf("%s: %q, %v", who, got, err)
				}
			})
			t.Logf("%d lines: %v", people, time.Since(began).Round(time.Millisecond))
		}
		for n := range people {
			who := fmt.Sprintf("user-%d", n)
			hasTokens(t, rigs[0].store, v.issuer, who, 1)
			if g := found(t, rigs[0].store, who); g.State != Active || g.Account != "account-"+who || g.SuspendCause != "" {
				t.Errorf("%+v", g)
			}
		}
		if calls, reused := v.counts(); calls != people || reused != 0 {
			t.Errorf("%d calls for %d lines, %d with a spent token", calls, people, reused)
		}
	})
}

// TestImportBesidePeople protects what people have decided themselves: a grant that is
// in use is not replaced, an account of somebody else not taken, and who has left is not
// connected again by the same file.
func TestImportBesidePeople(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		v := newImporter(false)
		r := newImportRig(t, at, v)
		if _, err := connect(r.store, "alice", "account-alice", "her own"); err != nil {
			t.Fatal(err)
		}
		r.imports(v.lineOf("alice"), ImportKept, "")
		stranger := v.lineOf("bob")
		stranger.Account = "account-alice"
		r.imports(stranger, ImportConflict, "another person")

		r.imports(v.lineOf("carol"), Imported, "")
		twice := v.lineOf("carol")
		twice.Person, twice.Account = person("dave"), "account-dave"
		r.imports(twice, ImportConflict, "another person")
		r.imports(&delegation.GrantImport{Person: person("dave"), Refresh: delegation.NewSecret("dave/0")}, "", "account is missing")

		want(t, "carol leaves", r.store.DeleteByOwner(t.Context(), owner("carol")), nil)
		r.imports(v.lineOf("carol"), ImportedBefore, "")
		_, err := r.store.Find(t.Context(), owner("carol"))
		want(t, "carol has left", err, ErrNotFound)
		if calls, _ := v.counts(); calls != 1 {
			t.Errorf("%d calls; want carol's alone", calls)
		}
	})
}

// TestImportRefused protects a consent from a vendor that detects reuse: a token that
// was refused is not sent by the next run, unless the operator says so.
func TestImportRefused(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		v := newImporter(false)
		r := newImportRig(t, at, v)
		bad := v.lineOf("alice")
		v.fails = delegation.Refuse(delegation.DelegationRefused, errInvalidGrant)
		r.imports(bad, ImportRefused, "invalid_grant")
		v.fails = nil
		r.imports(bad, ImportRefusedBefore, "")
		_, err := r.store.Find(t.Context(), owner("alice"))
		want(t, "alice has no grant", err, ErrNotFound)
		if calls, _ := v.counts(); calls != 0 {
			t.Errorf("%d calls", calls)
		}
		r.importsAgain(bad, true, Imported, "") // it was the wrong client, which is mended
		r.importsAgain(bad, true, ImportedBefore, "")
	})
}

// TestImportVendorAway protects lines of which nothing was spent: they leave nothing,
// and the next run begins with them.
func TestImportVendorAway(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		v := newImporter(false)
		r := newImportRig(t, at, v)
		for _, fails := range []error{
			errors.Join(delegation.Refuse(delegation.IssuerUnavailable, errors.New("connection refused")), delegation.ErrNotSent),
			delegation.Refuse(delegation.IssuerThrottled, errors.New("too many")),
			delegation.Refuse(delegation.CredentialsRejected, errors.New("client")),
		} {
			v.fails = fails
			r.imports(v.lineOf("alice"), ImportUntried, "")
			_, err := r.store.Find(t.Context(), owner("alice"))
			want(t, "nothing is left", err, ErrNotFound)
		}
		v.fails = delegation.Refuse(delegation.IssuerUnavailable, errors.New("timeout"))
		r.imports(v.lineOf("alice"), ImportUncertain, "timeout")
		v.fails = delegation.Refuse(delegation.IssuerThrottled, errors.New("too many"))
		r.imports(v.lineOf("alice"), ImportUntried, "")
		if _, attempts, _ := columns(t, r.store, found(t, r.store, "alice").ID); attempts != 1 {
			t.Errorf("%d attempts are noted; want that of the timeout", attempts)
		}
		v.fails = nil
		r.imports(v.lineOf("alice"), Imported, "")
	})
}

// TestImportKilled protects a person whose token a run had spent when it was killed,
// before the answer was stored: the next run tries it once more, which works where the
// vendor has a grace, and says what has happened where it has none.
func TestImportKilled(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		for _, grace := range []bool{true, false} {
			v := newImporter(grace)
			r := newImportRig(t, at, v)
			who := fmt.Sprintf("alice-%v", grace)
			begun, err := r.store.BeginImport(t.Context(), &Grant{Owner: owner(who), Account: "account-" + who, Tokens: *v.issuer.tokens(who, 0)}, v.lineOf(who).Token(), false)
			if err != nil {
				t.Fatal(err)
			}
			leased(t, r.store, begun, LeaseRefresh)
			if _, err := v.refresh(v.lineOf(who).Refresh.Reveal()); err != nil {
				t.Fatal(err)
			}
			// The process dies here, and its lease ends by the database's clock.
			lapse(t, r.store)
			if _, err := r.Get(t.Context(), person(who)); code(err) != delegation.ConsentRequired {
				t.Errorf("a grant that is not imported yet: %v", err)
			}
			if grace {
				r.imports(v.lineOf(who), Imported, "")
				hasTokens(t, r.store, v.issuer, who, 1)
				continue
			}
			r.imports(v.lineOf(who), ImportRefused, "an earlier run had sent it")
			r.imports(v.lineOf(who), ImportRefusedBefore, "")
			if calls, reused := v.counts(); calls != 2 || reused != 1 {
				t.Errorf("%d calls, %d with the spent token", calls, reused)
			}
		}
	})
}

// TestImportAccount protects a person from somebody else's data, by a table of which
// two lines were exchanged: what the vendor says counts, and a grant of which it cannot
// be asked is not used.
func TestImportAccount(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		v := newImporter(false)
		r := newImportRig(t, at, v)
		v.accounts["alice"] = "account-bob"
		r.imports(v.lineOf("alice"), ImportOtherAccount, "kept, retired")
		r.imports(v.lineOf("alice"), ImportOtherAccount, "earlier run")
		_, err := r.store.Find(t.Context(), owner("alice"))
		want(t, "alice has no grant", err, ErrNotFound)
		n := 0
		if err := r.store.ForEach(t.Context(), func(g *Grant) error {
			n++
			if g.State != Retired || g.Account != "account-bob" {
				t.Errorf("%s of %s", g.State, g.Account)
			}
			return nil
		}); err != nil || n != 1 {
			t.Errorf("%d grants, %v", n, err)
		}

		v.mute = true
		r.imports(v.lineOf("carol"), ImportUncertain, "no account")
		alter(t, r.store, "UPDATE grants SET changed = 1") // long ago, when suspended ones are tried
		if _, err := r.Get(t.Context(), person("carol")); code(err) != delegation.ConsentRequired {
			t.Errorf("nobody knows whose account it is: %v", err)
		}
		v.mute, v.accounts["carol"] = false, "account-carol"
		r.imports(v.lineOf("carol"), Imported, "")
		hasTokens(t, r.store, v.issuer, "carol", 2)
	})
}
