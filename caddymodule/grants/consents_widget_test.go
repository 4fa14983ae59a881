// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestSuspendedBesideAnOpenWidget protects a person whose credential was revoked from
// a page that has begun a flow for its widget: they are told to
// connect again, and not that something is under way.
func TestSuspendedBesideAnOpenWidget(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		g := connected(t, d.store, "alice", "1", "key")
		if done, err := d.store.Suspend(t.Context(), g, causeRefused); err != nil || !done {
			t.Fatal(done, err)
		}
		is := func(what string, want delegation.ConsentStatus) {
			t.Helper()
			if got, err := d.Status(t.Context(), person("alice")); got != want || err != nil {
				t.Errorf("%s: %s %v, want %s", what, got, err, want)
			}
		}
		flow := d.begun("alice")
		is("the page is open", delegation.ConsentUpdate)
		d.during = func() { is("while the token is redeemed", delegation.ConsentPending) }
		if _, err := d.hands(d.Consents, "alice", flow.BrowserToken, "1-a"); err != nil {
			t.Fatal(err)
		}
		is("connected again", delegation.ConsentConnected)
	})
}

// TestWidgetOnAnotherDevice protects a person from consenting in vain: nothing that a
// widget hands over counts in another browser than the one that began.
func TestWidgetOnAnotherDevice(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		_, err := d.Start(t.Context(), StartRequest{Person: person("alice"), ReturnURL: "https://app.test/return", AnyBrowser: true})
		if code(err) != delegation.RouteDenied {
			t.Errorf("%v", err)
		}
		want(t, "nothing is under way", d.store.Pending(t.Context(), owner("alice")), ErrNotFound)
	})
}

// TestTicketLifetime protects a native app's person from whoever finds the ticket
// later: it works for ten minutes, however long flows for other devices may take.
func TestTicketLifetime(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		for _, lifetime := range []time.Duration{0, time.Minute, 24 * time.Hour} {
			started, err := d.Start(t.Context(), StartRequest{Person: person("alice"), ReturnURL: "https://app.test/return", Native: true, AnyBrowser: true, Lifetime: lifetime})
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(started.Expires); left > ticketLifetime || lifetime == time.Minute && left > lifetime {
				t.Errorf("of %s: the ticket works for %s", lifetime, left)
			}
		}
	})
}

// TestTicketOutlastsStarts protects a native app from pages of the same person that
// are opened again and again, each of which begins a flow for its widget.
func TestTicketOutlastsStarts(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		started, err := d.Start(t.Context(), StartRequest{Person: person("alice"), ReturnURL: "https://app.test/return", Native: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * maxOpenFlows {
			alter(t, d.store, "UPDATE journeys SET created = created - 1000") // those before are older
			d.begun("alice")
		}
		if _, err := d.Consents.Redeem(t.Context(), RedeemRequest{Ticket: started.Ticket.Reveal(), Handed: withCode("1-a")}); err != nil {
			t.Error(err)
		}
	})
}

// TestCompleteOfAHungDatabase protects a browser that comes back, and the machine,
// from a database that does not answer: the store's timeout ends the first look.
func TestCompleteOfAHungDatabase(t *testing.T) {
	s := opened(t, Options{File: t.TempDir() + "/grants.db", Keyset: newKeyset(t)})
	_, err := s.probe(context.Background(), nil, func(ctx context.Context, _ querier) (*storedFlow, consent.Action, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the look has no deadline")
		}
		return nil, 0, ErrNotFound
	})
	if !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}
