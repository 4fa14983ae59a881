// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// ownerOf is somebody at a provider.
func ownerOf(provider, subject string) Owner {
	o := owner(subject)
	o.Provider = provider
	return o
}

// TestO10_Rename protects members from a provider's new name: their keys are
// there under it and can be opened, consent flows under way can be ended, and nothing
// is left under the old one, nor can it be opened as such.
func TestO10_Rename(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		const people = renameBatch + 1
		for i := range people {
			connected(t, s, fmt.Sprint("user-", i), fmt.Sprint("account-", i), fmt.Sprint("key-", i))
		}
		pending := &Flow{Owner: owner("bob"), Kind: FlowConnect}
		if err := s.Begin(t.Context(), pending); err != nil {
			t.Fatal(err)
		}
		n, err := s.Rename(t.Context(), "mydex", "renamed", "root")
		if err != nil || n < people+1 {
			t.Fatalf("%d, %v", n, err)
		}
		for i := range people {
			g, err := s.Find(t.Context(), ownerOf("renamed", fmt.Sprint("user-", i)))
			if err != nil || g.Secret.Reveal() != fmt.Sprint("key-", i) || g.Account != fmt.Sprint("account-", i) {
				t.Fatalf("user %d: %+v, %v", i, g, err)
			}
			if _, err := s.Find(t.Context(), owner(fmt.Sprint("user-", i))); !errors.Is(err, ErrNotFound) {
				t.Fatalf("user %d is still there: %v", i, err)
			}
		}
		if err := s.Stage(t.Context(), "renamed", "", pending.CorrelationID.Reveal(), pendingResult("bobs", "key-bob")); err != nil {
			t.Errorf("what was under way: %v", err)
		}
		if _, _, err := s.Complete(t.Context(), Return{Owner: ownerOf("renamed", "bob"), StateToken: pending.StateToken.Reveal(), BrowserToken: pending.BrowserToken.Reveal(), AnyBrowser: true}); err != nil {
			t.Error(err)
		}
		counts, err := s.CountByProvider(t.Context())
		if err != nil || len(counts) != 1 || counts[0] != (ProviderCount{"renamed", "", people + 1}) {
			t.Errorf("%v, %v", counts, err)
		}
		last := ""
		if err := s.Decisions(t.Context(), func(d Decision) error { last = d.Action + " by " + d.By; return nil }); err != nil || last != "rename by root" {
			t.Errorf("%q, %v", last, err)
		}
	})
}

// TestO10_RenameGoesOn protects members from a command that is interrupted: what
// it has not come to is as it was, and running it again does the rest.
func TestO10_RenameGoesOn(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		const people = renameBatch + 1
		for i := range people {
			connected(t, s, fmt.Sprint("user-", i), fmt.Sprint("account-", i), fmt.Sprint("key-", i))
		}
		// The first transaction is done when it ends.
		if err := s.write(t.Context(), "renaming", func(ctx context.Context, tx querier) error {
			_, err := s.renameGrants(ctx, tx, renaming{provider: "mydex", to: "renamed"})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		// The second one fails in the middle: nothing of it is.
		stop := errors.New("stop")
		if err := s.transact(t.Context(), s.dialect.lockWriters, func(ctx context.Context, tx querier) error {
			if _, err := s.renameGrants(ctx, tx, renaming{provider: "mydex", to: "renamed"}); err != nil {
				return err
			}
			return stop
		}); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		counts, err := s.CountByProvider(t.Context())
		if err != nil || len(counts) != 2 || counts[0].Grants != people-renameBatch || counts[1].Grants != renameBatch {
			t.Fatalf("%v, %v", counts, err)
		}
		again := opened(t, at)
		if _, err := again.Rename(t.Context(), "mydex", "renamed", "root"); err != nil {
			t.Fatal(err)
		}
		for i := range people {
			g, err := again.Find(t.Context(), ownerOf("renamed", fmt.Sprint("user-", i)))
			if err != nil || g.Secret.Reveal() != fmt.Sprint("key-", i) {
				t.Fatalf("user %d: %v", i, err)
			}
		}
	})
}

// TestRenameSource protects people's grants of a source that was renamed, and leaves
// those of the provider's other sources, and of other providers' source of that name,
// as they are.
func TestRenameSource(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		of := func(provider, source, subject string) Owner {
			o := ownerOf(provider, subject)
			o.Source = source
			return o
		}
		before := []Owner{of("study", "fitbit", "alice"), of("study", "oura", "alice"), of("other", "fitbit", "alice"), of("study", "fitbit", "bob")}
		ids := make([]string, len(before))
		for i, o := range before {
			if err := s.BindIf(t.Context(), o, fmt.Sprint("account-", i), always); err != nil {
				t.Fatal(err)
			}
			var err error
			if ids[i], err = s.PairwiseID(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		pending := &Flow{Owner: of("study", "fitbit", "carol"), Kind: FlowConnect}
		if err := s.Begin(t.Context(), pending); err != nil {
			t.Fatal(err)
		}
		if n, err := s.RenameSource(t.Context(), "study", "fitbit", "google_health", "root"); err != nil || n != 5 {
			t.Fatalf("%d, %v", n, err)
		}
		for i, o := range before {
			if o.Provider == "study" && o.Source == "fitbit" {
				_, err := s.Find(t.Context(), o)
				want(t, "the old name", err, ErrNotFound)
				o.Source = "google_health"
			}
			g, err := s.Find(t.Context(), o)
			if err != nil || g.Account != fmt.Sprint("account-", i) || g.Owner != o {
				t.Errorf("%+v: %+v, %v", o, g, err)
			}
			if id, err := s.PairwiseID(t.Context(), o); err != nil || id != ids[i] {
				t.Errorf("%+v is known by another identifier: %v", o, err)
			}
		}
		if err := s.Stage(t.Context(), "study", "google_health", pending.CorrelationID.Reveal(), pendingResult("carols", "key")); err != nil {
			t.Errorf("what was under way: %v", err)
		}
		if _, err := s.RenameSource(t.Context(), "study", "oura", "oura", "root"); err == nil {
			t.Error("to itself")
		}
		counts, err := s.CountByProvider(t.Context())
		if err != nil || fmt.Sprint(counts) != "[{other fitbit 1} {study google_health 2} {study oura 1}]" {
			t.Errorf("%v, %v", counts, err)
		}
	})
}

// TestO10_RenameConflict protects members from being exchanged: who has a grant
// under the new name already keeps it, and the other one stays where it is.
func TestO10_RenameConflict(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice", "1", "key-old")
		if err := s.BindIf(t.Context(), ownerOf("renamed", "bob"), "1", always); err != nil {
			t.Fatal(err)
		}
		_, err := s.Rename(t.Context(), "mydex", "renamed", "root")
		want(t, "an account of somebody else's", err, ErrConflict)
		holds(t, s, "alice", "1", "key-old")
		if _, err := s.Rename(t.Context(), "mydex", "mydex", "root"); err == nil {
			t.Error("to itself")
		}
	})
}

// TestRenameKeepsTokensSpent protects people from a one-time token that was redeemed
// before the provider was renamed: under the new name it does not count again, and
// who has brought it is told the same.
func TestRenameKeepsTokensSpent(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		alice := pageFlow(t, s, "alice")
		id, err := s.PairwiseID(t.Context(), alice.Owner)
		if err != nil {
			t.Fatal(err)
		}
		finished(t, s, claimed(t, s, alice.post("alices")), "1", "key")
		if _, err := s.Rename(t.Context(), "mydex", "renamed", "root"); err != nil {
			t.Fatal(err)
		}
		mallory := newFlow("mallory")
		mallory.Mode, mallory.Provider = FlowPage, "renamed"
		begun(t, s, mallory)
		_, err = s.Claim(t.Context(), mallory.post("alices"))
		want(t, "hers", err, ErrSpent)
		alice.Provider = "renamed"
		if f, err := s.Claim(t.Context(), alice.post("alices")); err != nil || !f.Done || f.Reply["publicToken"] != "public-1" {
			t.Errorf("her own: %+v, %v", f, err)
		}
		if now, err := s.PairwiseID(t.Context(), alice.Owner); err != nil || now != id {
			t.Errorf("the platform knows her by another identifier: %v", err)
		}
	})
}
