// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestRedeemLimiter protects the platform from one person who hands over token after
// token, one by one or all at once, and pages that hand over the same one several
// times at once from being refused for it.
func TestRedeemLimiter(t *testing.T) {
	l, alice, bob := newRedeemLimiter(), delegation.Person{Subject: "alice"}, delegation.Person{Subject: "bob"}
	token := func(n int) url.Values { return url.Values{"specialToken": {strconv.Itoa(n)}} }
	var ends []func(bool)
	begin := func(who delegation.Person, n int) bool {
		end, err := l.begin(who, token(n))
		if err != nil {
			if delegation.AsRefusal(err).Code != delegation.TooManyRequests {
				t.Error(err)
			}
			return false
		}
		ends = append(ends, end)
		return true
	}
	over := func(asked bool) {
		for _, end := range ends {
			end(asked)
		}
		ends = nil
	}
	for range 100 {
		if !begin(alice, 0) {
			t.Fatal("the same at once is refused")
		}
		over(false) // no such flow
	}
	for range 100 {
		if !begin(alice, 0) {
			t.Fatal("the same at once is refused")
		}
	}
	over(true)
	for n := range 10 {
		if got := begin(alice, n+1); got != (n < 4) { // one of five was token 0
			t.Errorf("token %d at once with others: %t", n+1, got)
		}
	}
	if !begin(alice, 1) || !begin(bob, 99) {
		t.Error("what is running already, or somebody else, is stopped")
	}
	over(true)
	if begin(alice, 11) {
		t.Error("a sixth")
	}
	if len(l.running)+len(l.pending)+len(l.asked) > 0 {
		t.Errorf("left: %v %v %v", l.running, l.pending, l.asked)
	}
}

// TestTicketLimiter protects native apps from strangers: who guesses tickets is
// stopped by address, IPv6 by network, and takes nothing from a ticket that was
// given out here, even behind the same address.
func TestTicketLimiter(t *testing.T) {
	l := newTicketLimiter()
	l.recordIssued("GIVENOUT", time.Now().Add(time.Minute))
	from := func(address string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/redeem/X", nil)
		return r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: address}))
	}
	for n := range 5 {
		if err := l.checkAddress(from("2001:db8::1"), "GUESS"); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		l.recordUnknown(from("2001:db8::" + strconv.Itoa(n+1)))
	}
	for address, stopped := range map[string]bool{"2001:db8::ffff": true, "2001:db8:0:1::1": false, "192.0.2.1": false, "": false} {
		if err := l.checkAddress(from(address), "GUESS"); (err != nil) != stopped {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := l.checkAddress(from("2001:db8::1"), "GIVENOUT"); err != nil {
		t.Error("a ticket that was given out is stopped with the guesses of others")
	}
}

// TestTicketsAtOnce protects the database, and those who redeem, from a stranger who
// sends the ends of many requests at the same moment: all had passed the check of
// their address before one of them was known to have guessed.
func TestTicketsAtOnce(t *testing.T) {
	l := newTicketLimiter()
	l.recordIssued("GIVENOUT", time.Now().Add(time.Minute))
	r := httptest.NewRequest(http.MethodPost, "/redeem/X", nil)
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"}))
	passed := 0
	for range 1000 {
		if l.checkAddress(r, "GUESS") != nil {
			t.Fatal("nothing has failed yet")
		}
		if end, err := l.beginUnknown(r, "GUESS"); err == nil {
			defer end()
			passed++
		}
	}
	if passed > 200 {
		t.Errorf("%d guesses at once", passed)
	}
	if _, err := l.beginUnknown(r, "GIVENOUT"); err != nil {
		t.Error("a ticket that was given out is stopped with the guesses of others")
	}
}

// TestNoBrowserUsesATicket protects visitors of other pages: whatever by which a
// browser shows itself, it may not end a flow by a ticket.
func TestNoBrowserUsesATicket(t *testing.T) {
	for name, values := range map[string][]string{
		"Origin": {"https://evil.example", "null", "", "http://example.com"}, "Sec-Fetch-Site": {"cross-site", "none", "same-origin"}, "Sec-Fetch-Mode": {"cors"},
	} {
		for _, value := range values {
			r := httptest.NewRequest(http.MethodPost, "http://example.com/redeem/X", nil)
			r.Header[name] = []string{value}
			if err := checkNotBrowser(r); delegation.AsRefusal(err).Code != delegation.CrossOrigin {
				t.Errorf("%s %q: %v", name, value, err)
			}
		}
	}
	if err := checkNotBrowser(httptest.NewRequest(http.MethodPost, "/redeem/X", nil)); err != nil {
		t.Error(err)
	}
}
