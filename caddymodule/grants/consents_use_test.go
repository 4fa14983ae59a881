// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// noted waits until nothing is to be written, and returns when somebody's grant was
// in use last; zero if it never was.
func (d *desk) noted(name string) time.Time {
	d.t.Helper()
	eventually(d.t, "the use of a grant is never written", func() bool {
		u := &d.o.Cache.uses
		u.mu.Lock()
		defer u.mu.Unlock()
		return !u.writing
	})
	return found(d.t, d.store, name).LastUsed
}

// hourLater has the last noted use in memory be an hour ago.
func (d *desk) hourLater(name string) {
	d.t.Helper()
	who := person(name)
	known, ok := d.o.Cache.get(who)
	if !ok {
		d.t.Fatal("it is not in memory")
	}
	old := *known
	old.notedAt = old.notedAt.Add(-useInterval)
	d.o.Cache.putUnlessDropped(who, &old, d.o.Cache.dropCount(who))
}

// TestUseNoted protects the operator's list, which tells who uses what they have
// consented to: by the first request, and by those an hour later. Neither looking
// at the status nor a request in between writes anything.
func TestUseNoted(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		connected(t, d.store, "alice", "1", "key")
		if _, err := d.Status(t.Context(), person("alice")); err != nil {
			t.Fatal(err)
		}
		if used := d.noted("alice"); !used.IsZero() {
			t.Errorf("used %s before any request", used)
		}
		d.account("alice")
		if used := d.noted("alice"); time.Since(used).Abs() > time.Minute {
			t.Errorf("used %s", used)
		}
		alter(t, d.store, "UPDATE grants SET last_used = 1")
		d.later("alice", freshFor)
		d.account("alice")
		if used := d.noted("alice"); used.UnixMilli() != 1 {
			t.Errorf("written again: %s", used)
		}
		d.hourLater("alice")
		d.later("alice", freshFor)
		d.account("alice")
		if used := d.noted("alice"); time.Since(used).Abs() > time.Minute {
			t.Errorf("an hour later: used %s", used)
		}
	})
}

// TestUseNotedBeside protects requests from a database that takes no write: they do
// not wait for the note of their use, nor for their turn to write one.
func TestUseNotedBeside(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		names := []string{"alice", "bob", "carol", "dave"}
		for _, name := range names {
			connected(t, d.store, name, name, "key")
		}
		d.store.writeSlot <- struct{}{} // SQLite
		tx, err := d.store.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d.store.dialect.lockWriters != "" {
			if _, err := tx.ExecContext(t.Context(), "SELECT 1 FROM grants FOR UPDATE"); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range names {
			if got := d.account(name); got != name {
				t.Errorf("%s is %q", name, got)
			}
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		<-d.store.writeSlot
		for _, name := range names {
			d.noted(name)
			alter(t, d.store, "UPDATE grants SET last_used = 0")
			d.hourLater(name)
			d.later(name, freshFor)
			d.account(name)
			if d.noted(name).IsZero() {
				t.Errorf("the use of %s is not noted", name)
			}
		}
	})
}

// TestUsesGathered protects the database from a statement for each person who comes
// in the morning, and memory from people without bound: who finds too many is noted
// by a later reading.
func TestUsesGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uses
		var written [][]string
		writing, done := make(chan struct{}), make(chan struct{})
		write := func(ids []string) {
			written = append(written, ids)
			writing <- struct{}{}
			<-done
		}
		for n := range maxUses + 1 {
			if ok := u.add(strconv.Itoa(n), write); ok != (n < maxUses) {
				t.Fatalf("%d: %t", n, ok)
			}
		}
		<-writing
		if !u.add("late", write) { // while the first are being written
			t.Error("there is no room beside those that are being written")
		}
		done <- struct{}{}
		<-writing
		done <- struct{}{}
		synctest.Wait()
		if len(written) != 2 || len(written[0]) != maxUses || !slices.Equal(written[1], []string{"late"}) || u.writing {
			t.Errorf("written %d times; to be written again: %t", len(written), u.writing)
		}
	})
}

// TestUseBesideRotation protects a rotation from the note of a use in its way, and
// the other way round: in PostgreSQL the row that is being rotated is left out.
func TestUseBesideRotation(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, writers, i := beforeAndAfter(t, at)
		if s.dialect.skipLocked == "" {
			t.Skip("writers wait for each other")
		}
		g := oauthGrant(t, s, i, "alice")
		other := connected(t, s, "bob", "2", "key")
		l := leased(t, s, g, LeaseRefresh)
		if err := s.transact(t.Context(), "", func(ctx context.Context, tx querier) error {
			if _, err := l.rotateIn(ctx, tx, *i.tokens("alice", 1), nil); err != nil {
				return err
			}
			return writers.NoteUses(ctx, []string{g.ID, other.ID})
		}); err != nil {
			t.Fatal(err)
		}
		now := found(t, s, "alice")
		if now.Tokens.Refresh.Reveal() != i.tokens("alice", 1).Refresh.Reveal() || !now.LastUsed.IsZero() {
			t.Errorf("it has %s, and was used %s", now.Tokens.Refresh.Reveal(), now.LastUsed)
		}
		if found(t, s, "bob").LastUsed.IsZero() {
			t.Error("the use of the other grant is not noted")
		}
	})
}
