// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// hands has somebody's page hand over a token.
func (d *desk) hands(c *Consents, name string, browserToken delegation.Secret, token string) (*Redeemed, error) {
	return c.Redeem(d.t.Context(), RedeemRequest{Person: person(name), BrowserToken: browserToken.Reveal(), Handed: withCode(token)})
}

// TestPageFlow protects a person who hands over a widget's token: it is theirs, once,
// and another person's token is not taken.
func TestPageFlow(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		alice := d.begun("alice")
		if alice.Page.Widget["user"] != "alice" || alice.Ticket.Reveal() != "" {
			t.Errorf("%+v", alice)
		}
		for i := range 3 {
			done, err := d.hands(d.Consents, "alice", alice.BrowserToken, "1-a")
			if err != nil || done.Person != person("alice") || done.First != (i == 0) || done.Reply["public"] != "1" {
				t.Fatalf("%d: %+v %v", i, done, err)
			}
		}
		if n := d.redeemed.Load(); n != 1 || d.account("alice") != "1" {
			t.Errorf("%d exchanges, alice is %q", n, d.account("alice"))
		}
		mallory := d.begun("mallory")
		for _, c := range []struct {
			what, name, token string
			browser           delegation.Secret
			want              delegation.Code
		}{
			{"alice's token", "mallory", "1-a", mallory.BrowserToken, delegation.TokenRejected},
			{"alice's cookie", "mallory", "6-m", alice.BrowserToken, delegation.FlowExpired},
			{"no cookie", "mallory", "6-m", delegation.Secret{}, delegation.FlowExpired},
			{"no flow", "carol", "3-c", mallory.BrowserToken, delegation.FlowExpired},
			{"no token", "mallory", "", mallory.BrowserToken, delegation.TokenRejected},
			{"alice's second token", "alice", "2-b", alice.BrowserToken, delegation.FlowExpired},
			{"alice's account", "mallory", "1-b", mallory.BrowserToken, delegation.AccountConflict},
		} {
			if _, err := d.hands(d.Consents, c.name, c.browser, c.token); code(err) != c.want {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		if n := d.redeemed.Load(); n != 2 || d.account("alice") != "1" || d.account("carol") != "" {
			t.Errorf("%d exchanges", n)
		}
	})
}

// TestPageRefusedAndUncertain protects a person from beginning anew where that is
// not needed: after a refused token another one may follow, and after an outcome
// that nobody knows the same one may, in the same flow only.
func TestPageRefusedAndUncertain(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		alice, mallory := d.begun("alice"), d.begun("mallory")
		says := func(c delegation.Code) {
			d.answer = func(*delegation.Redemption) error { return delegation.Refuse(c, errors.New("a test")) }
		}
		says(delegation.TokenRejected)
		if _, err := d.hands(d.Consents, "alice", alice.BrowserToken, "1-bad"); code(err) != delegation.TokenRejected {
			t.Error(err)
		}
		says(delegation.IssuerUnavailable)
		for range 2 {
			if _, err := d.hands(d.Consents, "alice", alice.BrowserToken, "1-a"); code(err) != delegation.IssuerUnavailable {
				t.Error(err)
			}
		}
		d.answer = nil
		before := d.redeemed.Load()
		if _, err := d.hands(d.Consents, "mallory", mallory.BrowserToken, "1-a"); code(err) != delegation.TokenRejected || d.redeemed.Load() != before {
			t.Errorf("mallory tries alice's: %v, %d exchanges", err, d.redeemed.Load()-before)
		}
		if done, err := d.hands(d.Consents, "alice", alice.BrowserToken, "1-a"); err != nil || !done.First || d.account("alice") != "1" {
			t.Errorf("the same again: %+v %v", done, err)
		}
	})
}

// TestTicket protects a native app's user: the ticket alone is enough, works once,
// and connects nobody but who began.
func TestTicket(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		begin := func(name string) delegation.Secret {
			started, err := d.Start(t.Context(), StartRequest{Person: person(name), ReturnURL: "https://app.test/return", Native: true})
			if err != nil || started.BrowserToken.Reveal() != "" || started.Ticket.Reveal() == "" {
				t.Fatalf("%+v %v", started, err)
			}
			return started.Ticket
		}
		hands := func(ticket delegation.Secret, token string) (*Redeemed, error) {
			return d.Consents.Redeem(t.Context(), RedeemRequest{Ticket: ticket.Reveal(), Handed: withCode(token)})
		}
		ticket := begin("alice")
		if _, err := d.hands(d.Consents, "alice", delegation.Secret{}, "1-a"); code(err) != delegation.FlowExpired {
			t.Errorf("a browser ends an app's flow: %v", err)
		}
		for i := range 2 {
			if done, err := hands(ticket, "1-a"); err != nil || done.Person != person("alice") || done.First != (i == 0) {
				t.Fatalf("%d: %+v %v", i, done, err)
			}
		}
		if d.account("alice") != "1" || d.redeemed.Load() != 1 {
			t.Errorf("alice is %q after %d exchanges", d.account("alice"), d.redeemed.Load())
		}
		late := begin("bob")
		alter(t, d.store, "UPDATE journeys SET expires = 1")
		for what, c := range map[string]struct {
			ticket delegation.Secret
			want   delegation.Code
		}{
			"used": {ticket, delegation.FlowExpired}, "late": {late, delegation.FlowExpired},
			"unknown": {delegation.NewSecret("AAAAAAAAAAAAAAAAAAAAAAAAAA"), delegation.FlowExpired}, "another's token": {begin("carol"), delegation.TokenRejected},
		} {
			token := "2-b"
			if what == "another's token" {
				token = "1-a"
			}
			if _, err := hands(c.ticket, token); code(err) != c.want {
				t.Errorf("%s: %v", what, err)
			}
		}
		if d.redeemed.Load() != 1 {
			t.Errorf("%d exchanges", d.redeemed.Load())
		}
	})
}

// TestRedeemCrowd protects a one-time token from a page that posts it many times at
// once, over two machines: it is exchanged once, and all are told the same.
func TestRedeemCrowd(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		machines := []*Consents{d.Consents, nil}
		machines[1], _ = d.machine(at, "page")
		alice := d.begun("alice")
		waiting := make(chan struct{})
		var arrived, firsts atomic.Int64
		d.during = func() { <-waiting }
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				if arrived.Add(1) == 100 {
					close(waiting) // the platform answers once all have asked
				}
				done, err := d.hands(machines[i%2], "alice", alice.BrowserToken, "1-a")
				if err != nil || done.Reply["public"] != "1" {
					t.Errorf("%d: %+v %v", i, done, err)
				} else if done.First {
					firsts.Add(1)
				}
			})
		}
		all.Wait()
		if d.redeemed.Load() != 1 || firsts.Load() != 1 || d.account("alice") != "1" {
			t.Errorf("%d exchanges, %d are first, alice is %q", d.redeemed.Load(), firsts.Load(), d.account("alice"))
		}
	})
}
