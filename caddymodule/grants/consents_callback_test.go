// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestCallbackFlow protects a person on the way to a grant: it is theirs when the
// platform's server has called and the browser that began has come back, in this
// order or the other.
func TestCallbackFlow(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		status := func(want delegation.ConsentStatus) {
			t.Helper()
			if got, err := d.Status(t.Context(), person("alice")); got != want || err != nil {
				t.Errorf("%q, %v; want %s", got, err, want)
			}
		}
		status(delegation.ConsentNone)
		started, told := d.begun("alice"), d.lastStart()
		if back, err := url.Parse(told.ReturnURL); err != nil || back.Query().Get("state") != started.State.Reveal() {
			t.Errorf("the platform sends the browser to %s", told.ReturnURL)
		}
		if started.BrowserToken.Reveal() == "" || started.Ticket.Reveal() != "" || started.Page.URL == "" {
			t.Errorf("%+v", started)
		}
		status(delegation.ConsentPending)
		if _, err := d.returns("alice", started, url.Values{}); !errors.Is(err, delegation.ErrPending) {
			t.Errorf("before the callback: %v", err)
		}
		for _, what := range []string{"once", "twice"} {
			if err := d.callback(told.CorrelationID.Reveal(), "1", "key"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := d.callback(told.CorrelationID.Reveal(), "2", "key"); err == nil {
			t.Error("the flow has two results")
		}
		if d.account("alice") != "" {
			t.Error("it counts before the browser is back")
		}
		status(delegation.ConsentPending)
		for i := range 3 {
			if first, err := d.returns("alice", started, url.Values{}); first != (i == 0) || err != nil {
				t.Errorf("%d: %t %v", i, first, err)
			}
		}
		if got := d.account("alice"); got != "1" {
			t.Errorf("alice is %q", got)
		}
		status(delegation.ConsentConnected)
		if _, err := d.Withdraw(t.Context(), person("alice")); err != nil || d.account("alice") != "" {
			t.Errorf("after disconnecting: %v", err)
		}
		status(delegation.ConsentNone)
	})
}

// TestForeignReturn protects two people from each other's flows (RFC 6749 section
// 10.12): a state in another's browser, or another user's in the same browser, or
// two that are swapped, connect nobody.
func TestForeignReturn(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		alice := d.begun("alice")
		aliceLink := d.lastStart().CorrelationID.Reveal()
		mallory := d.begun("mallory")
		malloryLink := d.lastStart().CorrelationID.Reveal()
		for link, account := range map[string]string{aliceLink: "1", malloryLink: "6"} {
			if err := d.callback(link, account, "key"); err != nil {
				t.Fatal(err)
			}
		}
		swap := func(state, browser *Started) *Started {
			return &Started{State: state.State, BrowserToken: browser.BrowserToken}
		}
		for what, c := range map[string]struct {
			who string
			how *Started
		}{
			"mallory's flow in alice's browser": {"alice", swap(mallory, alice)},
			"mallory's flow with her cookie":    {"alice", mallory},
			"alice's state in another browser":  {"alice", swap(alice, mallory)},
			"alice's state without a cookie":    {"alice", swap(alice, new(Started))},
			"alice's flow, mallory signed in":   {"mallory", alice},
			"alice's flow, nobody signed in":    {"", alice},
		} {
			who := person(c.who)
			if c.who == "" {
				who = delegation.Person{}
			}
			first, err := d.HandleReturn(t.Context(), ReturnRequest{Person: who, State: c.how.State.Reveal(), BrowserToken: c.how.BrowserToken.Reveal(), Query: url.Values{}})
			if first || !errors.Is(err, delegation.ErrForeignFlow) {
				t.Errorf("%s: %t %v", what, first, err)
			}
		}
		if d.account("alice") != "" || d.account("mallory") != "" {
			t.Error("somebody is connected")
		}
		for name, started := range map[string]*Started{"alice": alice, "mallory": mallory} {
			if first, err := d.returns(name, started, url.Values{}); !first || err != nil {
				t.Errorf("%s: %t %v", name, first, err)
			}
		}
		if d.account("alice") != "1" || d.account("mallory") != "6" {
			t.Errorf("alice is %q, mallory %q", d.account("alice"), d.account("mallory"))
		}
	})
}

// TestForgedCallback protects everybody from a call that is not the platform's, and
// from results without an account.
func TestForgedCallback(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		started, link := d.begun("alice"), d.lastStart().CorrelationID.Reveal()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://app.test/callback", strings.NewReader(""))
		if _, err := d.HandleCallback(t.Context(), r); !errors.Is(err, delegation.ErrForged) {
			t.Error(err)
		}
		for what, account := range map[string]string{"no": "", "a long": strings.Repeat("1", 1025)} {
			if err := d.callback(link, account, "key"); code(err) != delegation.NotDelegated {
				t.Errorf("%s account: %v", what, err)
			}
		}
		if err := d.callback("unknown", "1", "key"); err == nil || strings.Contains(err.Error(), "unknown") {
			t.Errorf("a callback of no flow: %v", err)
		}
		if _, err := d.returns("alice", started, url.Values{}); !errors.Is(err, delegation.ErrPending) {
			t.Error(err)
		}
	})
}

// TestStartRefused protects a person from a platform's page that leads to nothing:
// what can be refused before it is asked is.
func TestStartRefused(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		start := func(r StartRequest) error {
			r.Person, r.ReturnURL = person("alice"), "https://app.test/return"
			_, err := d.Start(t.Context(), r)
			return err
		}
		if err := start(StartRequest{Update: true}); code(err) != delegation.ConsentRequired || len(d.starts) != 0 {
			t.Errorf("an update of nothing: %v, %d starts", err, len(d.starts))
		}
		connected(t, d.store, "alice", "1", "damaged")
		if err := start(StartRequest{Update: true}); code(err) != delegation.GrantsUnavailable || len(d.starts) != 0 {
			t.Errorf("an update of a grant that cannot be read: %v, %d starts", err, len(d.starts))
		}
		if err := start(StartRequest{}); err != nil || d.lastStart().Grant != nil {
			t.Errorf("consenting anew: %v", err)
		}
		connected(t, d.store, "alice", "1", "key")
		if err := start(StartRequest{Update: true, Claim: "claim", Scopes: []string{"a"}}); err != nil {
			t.Error(err)
		}
		if told := d.lastStart(); !told.Update || told.Grant == nil || told.Grant.Decoded != "decoded key" || told.Claim != "claim" || len(told.Scopes) != 1 {
			t.Errorf("%+v", told)
		}
	})
}
