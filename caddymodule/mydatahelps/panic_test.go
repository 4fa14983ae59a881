// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestR14_LookupsThatPanic protects the process from a fault in a look-up, in
// the check of an old hit that nobody waits for, and in the reading of the list,
// for people or in the background: it is a failure like others, and the next
// one is tried.
func TestR14_LookupsThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newParticipantCache(newLocalBindings())
		defer d.Close()
		who := delegation.Person{Realm: "app", Subject: "alice"}
		panics := func(context.Context, bool) (string, error) { panic("alice") }
		if _, err := d.resolve(t.Context(), who, "alice", panics); delegation.AsRefusal(err).Code != delegation.IssuerUnavailable {
			t.Errorf("%v; want issuer_unavailable", err)
		}
		if d.quota.unknownSpent != 0 {
			t.Error("the strangers have paid for it")
		}
		time.Sleep(2 * time.Second) // beyond the pause after one failure
		found := func(context.Context, bool) (string, error) { return guid(1), nil }
		if id, err := d.resolve(t.Context(), who, "alice", found); id != guid(1) {
			t.Errorf("%q, %v", id, err)
		}
		time.Sleep(recheckAge)
		if id, err := d.resolve(t.Context(), who, "alice", panics); id != guid(1) { // checked in the background
			t.Errorf("%q, %v", id, err)
		}
		synctest.Wait()
		if d.backgroundChecks.Load() != 0 {
			t.Error("the check goes on for ever")
		}

		list := func(context.Context, int) ([]participantRecord, *int, error) { panic("alice") }
		claim := claimOf(Participant{By: ByIdentifier})
		if _, err := d.ensureList(t.Context(), claim, list); err == nil {
			t.Error("the list was read")
		} else if _, ok := errors.AsType[*background.Panic](err); !ok {
			t.Errorf("%v; want a panic", err)
		}
		x, err := d.ensureList(t.Context(), claim, func(context.Context, int) ([]participantRecord, *int, error) { return nil, nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		d.rereadList(x, list)
		if err := d.refreshListEnd(t.Context(), x, list); err == nil {
			t.Error("the list's end was read")
		}
		synctest.Wait()
	})
}
