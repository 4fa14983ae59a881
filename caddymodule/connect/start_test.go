// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestStart protects the page, which gets what opens the widget and no secret, and
// the flow, which keeps as whom it was opened.
func TestStart(t *testing.T) {
	r := newRig(t, nil)
	page, err := r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Claim: "not asked for"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"widget_url": r.config.WidgetURL, "widget_global": "Connect", "widget_token": "specialToken",
		"clientId": "app", "clientUserId": "pairwise-of-alice", "publicToken": "",
	}
	if !maps.Equal(page.Widget, want) || page.URL != "" || page.Secret.Reveal() != "pairwise-of-alice" {
		t.Errorf("the page gets %v", page)
	}
	page, err = r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Grant: grant(t, "account-1", canaryAccess, "public")})
	if err != nil || page.Widget["publicToken"] != "public" {
		t.Errorf("a returning user gets %v, %v", page, err)
	}
	moved := grant(t, "account-1", canaryAccess, "public")
	moved.Person.Subject = "bob" // an operator has made it his
	page, err = r.StartConsent(t.Context(), &delegation.ConsentStart{Person: moved.Person, Grant: moved})
	if err != nil || page.Widget["clientUserId"] == "pairwise-of-alice" || page.Widget["publicToken"] != "" {
		t.Errorf("who has got another's grant gets %v, %v", page, err)
	}
	if len(r.asked()) > 0 {
		t.Error("the platform was asked")
	}
	clean(t, fmt.Sprintf("%+v", page))
}

// TestStartNative protects users of apps that post with neither session nor cookie:
// with nothing to tie the account to them, whoever has a ticket connects anybody.
func TestStartNative(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Binding = BindingNone })
	_, err := r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Native: true})
	refused(t, err, delegation.RouteDenied, "a native app cannot connect with binding none")
	if _, err := r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice}); err != nil {
		t.Error(err)
	}
	if _, err := newRig(t, nil).StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Native: true}); err != nil {
		t.Error(err)
	}
}

// TestClientUserID protects who is known at the platform already by a name of the
// app's own: the widget is opened with it, and the reply has to name it.
func TestClientUserID(t *testing.T) {
	r := newRig(t, func(c *Config) { c.ClientUserID = "{http.auth.user.study}" })
	if claim := r.Traits().Claim; claim != "{http.auth.user.study}" {
		t.Errorf("the claim is %q", claim)
	}
	page, err := r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Claim: "study-7"})
	if err != nil || page.Widget["clientUserId"] != "study-7" {
		t.Fatalf("%v, %v", page, err)
	}
	for value, code := range map[string]delegation.Code{"study-7": "", "pairwise-of-alice": delegation.AccountConflict, "study-8": delegation.AccountConflict} {
		r.answerWith(replies(map[string]any{"clientUserId": value}))
		_, err = r.Redeem(t.Context(), &delegation.Redemption{Person: alice, Token: delegation.NewSecret(canarySpecial), Secret: page.Secret})
		if code != "" {
			refused(t, err, code, "")
		} else if err != nil {
			t.Error(err)
		}
	}
	_, err = r.Redeem(t.Context(), &delegation.Redemption{Person: alice, Token: delegation.NewSecret(canarySpecial)})
	refused(t, err, delegation.FlowExpired, "as whom the widget was opened")
	for _, claim := range []string{"", "a\nb", strings.Repeat("a", maxClientUserID+1)} {
		_, err := r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Claim: claim})
		refused(t, err, delegation.ParticipantUnknown, "client_user_id {http.auth.user.study} is empty")
	}
}

// TestPublicTokenRecovered protects returning users whose public token is lost: the
// widget would take them for new ones, with an account of its own.
func TestPublicTokenRecovered(t *testing.T) {
	type want struct {
		public string
		code   delegation.Code
		words  string
	}
	for name, test := range map[string]struct {
		status int
		body   string
		want   want
	}{
		"known":              {200, `{"publicToken":"found"}`, want{public: "found"}},
		"account unknown":    {404, `{"message":"` + canarySecret + `"}`, want{}},
		"wrong address":      {404, `<html>`, want{code: delegation.IssuerUnavailable, words: "public_token_url: status 404"}},
		"client refused":     {403, `{}`, want{code: delegation.CredentialsRejected, words: "public_token_url: status 403"}},
		"down":               {500, ``, want{code: delegation.IssuerUnavailable, words: "public_token_url: status 500"}},
		"throttled":          {429, ``, want{code: delegation.IssuerThrottled, words: "public_token_url: status 429"}},
		"none in the answer": {200, `{}`, want{code: delegation.IssuerUnavailable, words: "has no publicToken"}},
		"a secret":           {200, `{"publicToken":"` + canaryAccess + `"}`, want{code: delegation.IssuerUnavailable, words: "has no publicToken"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.PublicTokenURL = "/publictokens" })
			r.answerWith(answers(test.status, "application/json", test.body))
			page, err := r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Grant: grant(t, "account-1", canaryAccess, "")})
			if test.want.code != "" {
				refused(t, err, test.want.code, test.want.words)
			} else if err != nil || page.Widget["publicToken"] != test.want.public {
				t.Errorf("%v, %v", page, err)
			}
			if calls := r.asked(); len(calls) != 1 || calls[0].path != "/publictokens" || fmt.Sprint(calls[0].fields) != fmt.Sprint(map[string]string{"UserCode": "account-1", "clientId": "app", "clientSecret": canarySecret}) {
				t.Errorf("the platform got %+v", calls)
			}
			clean(t, fmt.Sprint(r.logs.All()))
		})
	}
	r := newRig(t, func(c *Config) { c.PublicTokenURL = "/publictokens" })
	if _, err := r.StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Grant: grant(t, "account-1", canaryAccess, "kept")}); err != nil || len(r.asked()) > 0 {
		t.Errorf("asked for what is kept: %v", err)
	}
	// A grant that cannot be read is replaced by the next consent.
	if _, err := newRig(t, nil).StartConsent(t.Context(), &delegation.ConsentStart{Person: alice, Grant: &delegation.Grant{Account: "account-1"}}); err != nil {
		t.Error(err)
	}
}

// TestSecretIsReadAgain protects a rotation of the client secret, which takes no
// reload; if it cannot be read, the one from before is used.
func TestSecretIsReadAgain(t *testing.T) {
	secret, err := "second", error(nil)
	r := newRig(t, func(c *Config) {
		c.LoadSecret = func() (delegation.Secret, error) { return delegation.NewSecret(secret), err }
	})
	for _, want := range []string{"second", "third", canarySecret} {
		if secret = want; want == canarySecret {
			err = errors.New("no such file")
		}
		if _, err := r.redeem(); err != nil {
			t.Fatal(err)
		}
		calls := r.asked()
		if got := calls[len(calls)-1].fields["clientSecret"]; got != want {
			t.Errorf("the platform got %q, want %q", got, want)
		}
	}
	if n := r.logs.FilterMessageSnippet("client_secret cannot be read").Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
}
