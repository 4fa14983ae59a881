// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"net/url"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func withCode(value string) url.Values { return url.Values{"code": {value}} }

// TestRedirectFlow protects a code of RFC 6749 from being redeemed twice, and its
// person from another one's: it is redeemed at once, with what the flow was begun
// with, and counts for who began.
func TestRedirectFlow(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		started, told := d.begun("alice"), d.lastStart()
		if started.Page.Secret.Reveal() != "" || len(told.Verifier.Reveal()) < 43 {
			t.Errorf("%+v", started)
		}
		d.answer = func(r *delegation.Redemption) error {
			if r.Person != person("alice") || r.ReturnURL != told.ReturnURL || !r.Verifier.Equal(told.Verifier) || r.Secret.Reveal() != "of alice" || r.Token.Reveal() != "1-a" {
				t.Errorf("%+v", r)
			}
			return nil
		}
		for i := range 3 { // the page is loaded again
			if first, err := d.returns("alice", started, withCode("1-a")); first != (i == 0) || err != nil {
				t.Errorf("%d: %t %v", i, first, err)
			}
		}
		if n := d.redeemed.Load(); n != 1 || d.account("alice") != "1" {
			t.Errorf("%d exchanges, alice is %q", n, d.account("alice"))
		}
		if first, _ := d.returns("alice", started, withCode("2-b")); first || d.redeemed.Load() != 1 || d.account("alice") != "1" {
			t.Errorf("a second code is redeemed, alice is %q", d.account("alice"))
		}
		if _, err := d.returns("bob", d.begun("bob"), withCode("1-a")); code(err) != delegation.TokenRejected || d.redeemed.Load() != 1 {
			t.Errorf("the code in another flow: %v, %d exchanges", err, d.redeemed.Load())
		}
	})
}

// TestRedirectSwapped protects two people from each other's codes (RFC 6749 section
// 10.12): a state that another browser or another person brings redeems nothing.
func TestRedirectSwapped(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		alice, mallory := d.begun("alice"), d.begun("mallory")
		for what, c := range map[string]struct {
			who string
			how *Started
		}{
			"mallory's state in alice's browser": {"alice", &Started{State: mallory.State, BrowserToken: alice.BrowserToken}},
			"alice's state in mallory's browser": {"mallory", &Started{State: alice.State, BrowserToken: mallory.BrowserToken}},
			"mallory signed in in alice's":       {"mallory", alice},
			"no cookie":                          {"alice", &Started{State: alice.State}},
		} {
			if first, err := d.returns(c.who, c.how, withCode("6-m")); first || !errors.Is(err, delegation.ErrForeignFlow) {
				t.Errorf("%s: %t %v", what, first, err)
			}
		}
		if d.redeemed.Load() != 0 || d.account("alice") != "" || d.account("mallory") != "" {
			t.Errorf("%d exchanges", d.redeemed.Load())
		}
		// Nobody is signed in when the browser comes back: it counts when they are.
		_, err := d.HandleReturn(t.Context(), ReturnRequest{State: alice.State.Reveal(), BrowserToken: alice.BrowserToken.Reveal(), Query: withCode("1-a")})
		if !errors.Is(err, delegation.ErrPending) || d.redeemed.Load() != 1 || d.account("alice") != "" {
			t.Errorf("nobody signed in: %v", err)
		}
		if _, err := d.returns("mallory", alice, nil); !errors.Is(err, delegation.ErrForeignFlow) {
			t.Errorf("mallory signs in: %v", err)
		}
		if first, err := d.returns("alice", alice, nil); !first || err != nil || d.account("alice") != "1" {
			t.Errorf("alice signs in: %t %v", first, err)
		}
	})
}

// TestRedirectUncertain protects a code from a second exchange after an outcome
// that nobody knows: the platform may end what the first has led to (RFC 6749
// section 4.1.2).
func TestRedirectUncertain(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		for _, c := range []struct{ says, again delegation.Code }{
			{delegation.IssuerUnavailable, delegation.FlowExpired},
			{delegation.CredentialsRejected, delegation.FlowExpired},
			{delegation.TokenRejected, delegation.TokenRejected},
			{delegation.ConsentDenied, delegation.ConsentDenied},
		} {
			d.redeemed.Store(0)
			d.answer = func(*delegation.Redemption) error { return delegation.Refuse(c.says, nil) }
			started := d.begun("alice")
			if _, err := d.returns("alice", started, withCode("1-"+string(c.says))); code(err) != c.says {
				t.Errorf("%s: %v", c.says, err)
			}
			d.answer = nil
			if _, err := d.returns("alice", started, withCode("1-"+string(c.says))); code(err) != c.again || d.redeemed.Load() != 1 {
				t.Errorf("%s: again %v, %d exchanges", c.says, err, d.redeemed.Load())
			}
		}
		if d.account("alice") != "" {
			t.Error("alice is connected")
		}
		if _, err := d.returns("alice", d.begun("alice"), withCode("1-new")); err != nil || d.account("alice") != "1" {
			t.Errorf("begun anew: %v", err)
		}
	})
}

// TestDenied protects a person's word at the platform: a flow that they have denied
// is over. And it protects their flow from others, who may send any browser here.
func TestDenied(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		for _, kind := range []string{"callback", "redirect"} {
			d := newDesk(t, at, kind)
			for said, want := range map[string]delegation.Code{
				"error=access_denied": delegation.ConsentDenied, "denied=token": delegation.ConsentDenied, "error=": delegation.ConsentDenied,
				"error=server_error": delegation.IssuerUnavailable, "error=invalid_scope": delegation.ScopeRejected,
				"error=unauthorized_client": delegation.CredentialsRejected, "error=%3Cscript%3E": delegation.ConsentDenied,
				"code=1-a&error=access_denied": delegation.ConsentDenied, "error=access_denied&error=x": delegation.ConsentDenied,
			} {
				query, err := url.ParseQuery(said)
				if err != nil {
					t.Fatal(err)
				}
				started, other := d.begun("alice"), d.begun("mallory")
				for _, foreign := range []*Started{{State: started.State}, {State: started.State, BrowserToken: other.BrowserToken}} {
					if first, err := d.returns("mallory", foreign, query); first || !errors.Is(err, delegation.ErrForeignFlow) {
						t.Errorf("%s: in another browser: %t %v", said, first, err)
					}
				}
				if first, err := d.returns("alice", started, query); !first || code(err) != want {
					t.Errorf("%s: %t %v", said, first, err)
				}
				if first, err := d.returns("alice", started, withCode("1-a")); first || err == nil || errors.Is(err, delegation.ErrPending) {
					t.Errorf("%s: the flow goes on: %t %v", said, first, err)
				}
			}
			if d.redeemed.Load() != 0 || d.account("alice") != "" {
				t.Errorf("%s: %d exchanges", kind, d.redeemed.Load())
			}
		}
	})
}

// TestDeniedByOtherIssuer protects the operator from what another issuer says of the client
// and the platform in an error response (RFC 9207 section 2.4).
func TestDeniedByOtherIssuer(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		for issuer, want := range map[string]delegation.Code{
			"": delegation.CredentialsRejected, "https://platform.test": delegation.CredentialsRejected, "https://evil.test": delegation.ConsentDenied,
		} {
			query := url.Values{"error": {"unauthorized_client"}}
			if issuer != "" {
				query.Set("iss", issuer)
			}
			_, err := d.returns("alice", d.begun("alice"), query)
			if code(err) != want || errors.Is(err, errOtherIssuer) != (want == delegation.ConsentDenied) {
				t.Errorf("%q: %v", issuer, err)
			}
		}
	})
}
