// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The participant's token is asked for exactly as the platform documents it,
// kept under everything it is bound to, and used for nobody else.
func TestAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByID, 2)
		d := request(guid(0))
		credential, err := p.Authorize(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if d.Participant != guid(0) || d.Cached {
			t.Errorf("participant %s, cached %v", d.Participant, d.Cached)
		}
		form := pf.grants[0]
		service := form.Get("token")
		if !pf.live[service] {
			t.Error("no live service token was sent")
		}
		form.Del("token")
		if form.Encode() != (url.Values{
			"grant_type": {"delegated_participant"}, "participant_id": {guid(0)}, "client_id": {"MyDataHelps.DelegatedParticipant"},
			"client_secret": {"secret"}, "scope": {"Participant:read"},
		}).Encode() {
			t.Errorf("form %v", form)
		}
		out, _ := http.NewRequest(http.MethodGet, "https://platform.example/", nil)
		if err := credential.Apply(out); err != nil {
			t.Fatal(err)
		}
		if got := out.Header.Get("Authorization"); got == "Bearer "+service || !strings.HasPrefix(got, "Bearer 0") {
			t.Errorf("Authorization %q", got)
		}
		if token := credential.(delegation.Bearer).Token; token.Scope != "Participant:read" {
			t.Errorf("scope %q", token.Scope)
		}

		d = request(guid(0))
		if again, err := p.Authorize(t.Context(), d); err != nil || again != credential || !d.Cached {
			t.Errorf("second request: %v, %v, cached %v", again == credential, err, d.Cached)
		}
		other, err := p.Authorize(t.Context(), request(guid(1)))
		if err != nil || other == credential {
			t.Errorf("another person got the token, %v", err)
		}
		if gets, lists, grants, service := pf.counts(); gets+lists != 0 || grants != 2 || service != 1 {
			t.Errorf("%d lookups, %d grants, %d service tokens", gets+lists, grants, service)
		}

		id := p.newIdentity(d.Person, d.Participant, d.Scopes)
		if _, cached, err := p.tokens.Get(t.Context(), id); !cached || err != nil || id.Provider != "mdh" || id.Issuer != testBase+"/identityserver/connect/token" || id.Audience != testBase+"/" ||
			!strings.Contains(id.Client, testAccount) || !strings.Contains(id.Client, DefaultClientID) || id.Key == "" || id.Config == "" {
			t.Errorf("identity %+v", id)
		}
	})
}

// The service token opens the whole project: a request without route scopes
// must get a participant's token with the operator's, and a public route or a
// request without a person none at all.
func TestAuthorizeScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByID, 1)
		d := request(guid(0))
		d.Scopes = nil
		if _, err := p.Authorize(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if got := pf.grants[0].Get("scope"); got != "Participant:read SurveyAnswers:read" {
			t.Errorf("scope %q", got)
		}
		if credential, err := p.Authorize(t.Context(), &delegation.Delegation{Public: true}); credential != nil || err != nil {
			t.Errorf("public: %v, %v", credential, err)
		}
		_, err := p.Authorize(t.Context(), &delegation.Delegation{Claim: guid(0)})
		if asRefusal(t, err).Code != delegation.SessionRequired {
			t.Errorf("nobody: %v", err)
		}
	})
}

// In ID mode the commonest mistake is to pass the participantIdentifier; the
// issuer must not even be asked with something that is no GUID.
func TestParticipantID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByID, 1)
		for _, claim := range []string{
			"", "AA-0000-0000", "00000000000040008000000000000000", "{" + guid(0) + "}", guid(0) + " ", guid(0) + "0",
			strings.Replace(guid(0), "-", "0", 1), strings.Replace(guid(0), "4", "g", 1), guid(0)[:35] + "\x00", guid(0) + "&scope=api",
		} {
			d := request("planted")
			d.Claim = claim
			_, err := p.Authorize(t.Context(), d)
			if asRefusal(t, err).Code != delegation.ParticipantUnknown {
				t.Errorf("%q: %v", claim, err)
			}
		}
		if _, _, grants, service := pf.counts(); grants+service != 0 {
			t.Error("the issuer was asked")
		}
		wantParticipant(t, p, "AABBCCDD-0000-4000-8000-00000000000F", "AABBCCDD-0000-4000-8000-00000000000F", "")
	})
}

// However many requests find out that a token was revoked, it is renewed once;
// and only a credential of this provider is.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByID, 1)
		d := request(guid(0))
		stale, err := p.Authorize(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		first, err := p.Renew(t.Context(), d, stale)
		if err != nil {
			t.Fatal(err)
		}
		second, err := p.Renew(t.Context(), d, stale)
		if err != nil || first == stale || second != first {
			t.Errorf("renewed: %v, same: %v, %v", first != stale, second == first, err)
		}
		if _, _, grants, _ := pf.counts(); grants != 2 {
			t.Errorf("%d grants", grants)
		}
		for name, c := range map[string]struct {
			d     *delegation.Delegation
			stale delegation.Credential
		}{
			"no credential":  {d, nil},
			"public":         {&delegation.Delegation{Public: true}, stale},
			"not authorised": {request(guid(0)), stale},
		} {
			if _, err := p.Renew(t.Context(), c.d, c.stale); asRefusal(t, err).Code != delegation.NotDelegated {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Requests must go where the settings say, host header included.
func TestUpstream(t *testing.T) {
	for address, want := range map[string]delegation.Upstream{
		"https://mydatahelps.org":        {Scheme: "https", Address: "mydatahelps.org:443", Host: "mydatahelps.org"},
		"https://Example.org:8443/inv/":  {Scheme: "https", Address: "example.org:8443", Host: "example.org:8443", Prefix: "/inv"},
		"http://127.0.0.1":               {Scheme: "http", Address: "127.0.0.1:80", Host: "127.0.0.1"},
		"http://[::1]:8080/a/b":          {Scheme: "http", Address: "[::1]:8080", Host: "[::1]:8080", Prefix: "/a/b"},
		"https://[2001:db8::1]/platform": {Scheme: "https", Address: "[2001:db8::1]:443", Host: "[2001:db8::1]", Prefix: "/platform"},
	} {
		c := testConfig(ByID)
		c.BaseURL, c.HTTP = address, new(delegation.HTTP)
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Upstream(nil); got != want {
			t.Errorf("%s: %+v", address, got)
		}
		if p.Traits().HTTP != c.HTTP {
			t.Errorf("%s: the API would be called without the settings for it", address)
		}
	}
}

// Whoever asks while an outage lasts learns that the platform is at fault, and
// nobody that they are.
func TestIssuerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		html := reply(502, "<html>planted")
		html.Header.Set("Content-Type", "text/html")
		html.Header.Set("Retry-After", "9")
		pf.token = func(url.Values) *http.Response { return html }
		_, err := p.Authorize(t.Context(), request("planted-0"))
		if r := asRefusal(t, err); r.Code != delegation.IssuerUnavailable || r.RetryAfter != 9*time.Second {
			t.Errorf("%v after %v", r, r.RetryAfter)
		}
		pf.token = nil
		wantParticipant(t, p, "planted-0", "", delegation.IssuerUnavailable) // as the issuer asked
		time.Sleep(9 * time.Second)
		wantParticipant(t, p, "planted-0", guid(0), "")
	})
}

// Ending a session must drop the person's tokens and lookups, and those of
// nobody else.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(2)...)
		p, h := open(t, testConfig(ByIdentifier), pf)
		for i := range 2 {
			wantParticipant(t, p, fmt.Sprintf("planted-%d", i), guid(i), "")
		}
		wantParticipant(t, p, "planted-9", "", delegation.ParticipantUnknown)
		for _, subject := range []string{"planted-0", "planted-9"} {
			h.purge(t, subject)
		}
		for i := range 2 {
			wantParticipant(t, p, fmt.Sprintf("planted-%d", i), guid(i), "")
		}
		wantParticipant(t, p, "planted-9", "", delegation.ParticipantUnknown)
		gets, _, grants, _ := pf.counts()
		if slices.Sort(pf.gets); gets != 5 || grants != 3 || slices.Index(pf.gets, "planted-1") != 2 {
			t.Errorf("lookups %v, %d grants", pf.gets, grants)
		}
	})
}

// Many requests at once share one lookup, and one that leaves harms no other.
func TestOneLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		pf.delay = 5 * time.Second
		p, _ := open(t, testConfig(ByIdentifier), pf)
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := p.Authorize(ctx, request("planted-0"))
			if !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
				t.Errorf("who left got %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			all.Go(func() {
				if _, err := p.Authorize(t.Context(), request("planted-0")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		leave()
		synctest.Wait()
		if time.Since(begin) != 0 {
			t.Error("who left was kept waiting")
		}
		all.Wait()
		if gets, _, _, _ := pf.counts(); gets != 1 {
			t.Errorf("%d lookups", gets)
		}
	})
}
