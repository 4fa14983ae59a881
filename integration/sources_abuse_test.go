// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// TestSourcesT61_Redirects protects people from redirects that a vendor does not send:
// two states, a code beside an error, an answer of another issuer. None connects, and
// where the flow has not ended the vendor's own redirect still does.
func TestSourcesT61_Redirects(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(url.Values)
		outcome string
		over    bool // the flow has ended
	}{
		"two states":               {func(q url.Values) { q.Add("state", q.Get("state")) }, "consent_required", false},
		"a state of none":          {func(q url.Values) { q.Set("state", "ABCDEFGHIJKLMNOPQRSTUVWXYZ") }, "flow_expired", false},
		"no state":                 {func(q url.Values) { q.Del("state") }, "consent_required", false},
		"no code":                  {func(q url.Values) { q.Del("code") }, "token_rejected", false},
		"a code beside an error":   {func(q url.Values) { q.Set("error", "access_denied") }, "consent_denied", true},
		"an answer of another iss": {func(q url.Values) { q.Set("iss", "https://evil.example") }, "consent_denied", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := startSources(t, "issuer https://login.lab.example", "")
			c.city.Set(func(s *sources.Settings) { s.Iss = "https://login.lab.example" })
			b := c.browser("alice")
			to, err := url.Parse(c.decides(c.city, c.begins(b, "/start/city_lab", ""), sources.Decision{}))
			if err != nil {
				t.Fatal(err)
			}
			changed, query := *to, to.Query()
			test.change(query)
			changed.RawQuery = query.Encode()
			if got := c.comesBack(b, changed.String()); !strings.HasSuffix(got, "connect="+test.outcome+"&source=city_lab") {
				t.Errorf("sent to %q; want %s", got, test.outcome)
			}
			if n := c.city.Counts().Codes; n != 0 {
				t.Errorf("%d codes went to the vendor", n)
			}
			got := c.comesBack(b, to.String()) // the control
			if connected := strings.Contains(got, "connect=connected"); connected == test.over {
				t.Errorf("the vendor's own redirect afterwards: %q", got)
			}
		})
	}
}

// TestSourcesT71_LoginCSRF protects people from each other's flows: a victim's browser
// that an attacker sends to /return ends nothing, not even where both are signed in at
// one computer after another, and the attacker's cannot end the victim's.
func TestSourcesT71_LoginCSRF(t *testing.T) {
	c := startSources(t, "", "")
	mallory, alice := c.browser("mallory"), c.browser("alice")
	attack := c.decides(c.city, c.begins(mallory, "/start/city_lab", ""), sources.Decision{Account: accountID(3)})
	for name, begin := range map[string]func(){
		"no flow of her own": func() {},
		"a flow of her own":  func() { c.begins(alice, "/start/city_lab", "") },
	} {
		begin()
		if got := c.comesBack(alice, attack); !strings.Contains(got, "connect=consent_required") {
			t.Errorf("%s: sent to %q", name, got)
		}
		if s := c.states(alice, "/status").Sources["city_lab"]; s.Status == "connected" || s.Account != "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	shared := c.decides(c.harbor, c.begins(mallory, "/start/harbor_lab", ""), sources.Decision{Account: accountID(3)})
	mallory.signIn("alice") // the next user of that browser
	if got := c.comesBack(mallory, shared); !strings.Contains(got, "connect=consent_required") {
		t.Errorf("another user of the browser: sent to %q", got)
	}
	c.is(mallory, "harbor_lab", "none   connect")
	if a := mallory.do(http.MethodGet, "/data/harbor_lab/measurements", ""); a.StatusCode != http.StatusForbidden {
		t.Errorf("data of who has not connected: %d", a.StatusCode)
	}
	mallory.signIn("mallory")
	for source, to := range map[string]string{"city_lab": attack, "harbor_lab": shared} { // the control
		if got := c.comesBack(mallory, to); !strings.HasSuffix(got, "connect=connected&source="+source) {
			t.Errorf("%s: who began it: %q", source, got)
		}
	}
}

// TestSourcesSecrets protects people and operators from what must stay here: neither
// the client's secret nor a token is in any answer to a browser or in Caddy's log, and
// no state or code in the log or in the address of the app's page.
func TestSourcesSecrets(t *testing.T) {
	c := startSources(t, "", "page")
	b := c.browser("alice")
	to := c.decides(c.city, c.begins(b, "/start/city_lab", ""), sources.Decision{})
	query, _ := url.Parse(to)
	secrets := []string{labSecret, url.QueryEscape(labSecret)}
	where := c.comesBack(b, to)
	answers := []string{where, b.navigates(where, "cross-site").body}
	for _, path := range []string{"/connect/status", "/data/city_lab/measurements"} {
		answers = append(answers, b.do(http.MethodGet, path, "").body)
	}
	for _, record := range c.city.Records() {
		if token, ok := strings.CutPrefix(record.Header.Get("Authorization"), "Bearer "); ok {
			secrets = append(secrets, token)
		}
	}
	if len(secrets) < 3 {
		t.Fatal("the vendor has seen no access token")
	}
	log, err := os.ReadFile(c.logFile())
	if err != nil || !strings.Contains(string(log), "/connect/start/city_lab") || !strings.Contains(string(log), `"event":"connected"`) || !strings.Contains(string(log), `"source":"city_lab"`) {
		t.Errorf("%v: the log is not what it should be: %s", err, log)
	}
	answers = append(answers, string(log))
	for _, answer := range answers {
		for _, secret := range append(secrets, query.Query().Get("state"), query.Query().Get("code")) {
			if strings.Contains(answer, secret) {
				t.Errorf("%q is in %q", secret, answer)
			}
		}
	}
}
