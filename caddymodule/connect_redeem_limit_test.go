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
// token, and pages that hand over the same one several times at once from being
// refused for it.
func TestRedeemLimiter(t *testing.T) {
	l, alice, bob := newRedeemLimiter(), delegation.Person{Subject: "alice"}, delegation.Person{Subject: "bob"}
	token := func(n int) url.Values { return url.Values{"specialToken": {strconv.Itoa(n)}} }
	end, err := l.begin(alice, token(0))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		again, err := l.begin(alice, token(0))
		if err != nil {
			t.Fatal("the same at once is refused")
		}
		defer again()
	}
	end()
	refused := 0
	for n := range 10 {
		if end, err := l.begin(alice, token(n+1)); err == nil {
			end()
		} else if refused++; delegation.AsRefusal(err).Code != delegation.TooManyRequests {
			t.Error(err)
		}
	}
	if refused != 6 { // one of five was token 0
		t.Errorf("%d of 10 other tokens are refused", refused)
	}
	if _, err := l.begin(bob, token(99)); err != nil {
		t.Error("somebody else is stopped")
	}
	if len(l.running) != 2 { // token 0, whose calls have not ended, and bob's
		t.Errorf("%d are remembered as running", len(l.running))
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
