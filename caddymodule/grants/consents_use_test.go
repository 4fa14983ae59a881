// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"
	"time"
)

// noted waits until nothing is being written, and returns when somebody's grant was
// in use last; zero if it never was.
func (d *desk) noted(name string) time.Time {
	d.t.Helper()
	for range maxNoting {
		d.o.Cache.noting <- struct{}{}
	}
	for range maxNoting {
		<-d.o.Cache.noting
	}
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
		if busy := len(d.o.Cache.noting); busy != maxNoting {
			t.Errorf("%d are being written", busy)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		<-d.store.writeSlot
		// Who was left out is noted by the next reading.
		for _, name := range names {
			d.noted(name)
			d.later(name, freshFor)
			d.account(name)
			if d.noted(name).IsZero() {
				t.Errorf("the use of %s is not noted", name)
			}
		}
	})
}
