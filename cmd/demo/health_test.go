// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

const profilePath = healthPath + "v1/human/profile"

// finishWidget begins and goes through the widget, and returns its special token.
func (v *visitor) finishWidget(account connect.Account) (token string) {
	v.t.Helper()
	_, body := v.send(http.MethodPost, healthConnectPath+"start", nil)
	var start struct {
		ClientID     string `json:"clientId"`
		ClientUserID string `json:"clientUserId"`
	}
	if err := json.Unmarshal([]byte(body), &start); err != nil || start.ClientUserID == "" {
		v.t.Fatalf("start: %v, %s", err, body)
	}
	token, err := v.health.platform.Connect(start.ClientID, start.ClientUserID, account.UserCode)
	if err != nil {
		v.t.Fatal(err)
	}
	return token
}

// redeem posts a special token as connect.js does, and tells the demo of it.
func (v *visitor) redeem(token string) (status int, body string) {
	v.t.Helper()
	res, body := v.send(http.MethodPost, healthConnectPath+"redeem", url.Values{"specialToken": {token}})
	if res.StatusCode == http.StatusCreated {
		if held, text := v.send(http.MethodPost, "/demo/health/held", url.Values{"token": {token}}); held.StatusCode != http.StatusNoContent {
			v.t.Fatalf("held: %d %s", held.StatusCode, text)
		}
	}
	return res.StatusCode, body
}

// connectHealth connects an account and returns the special token, used up.
func (v *visitor) connectHealth(account connect.Account) (token string) {
	v.t.Helper()
	token = v.finishWidget(account)
	if status, body := v.redeem(token); status != http.StatusCreated {
		v.t.Fatalf("redeem: %d %s", status, body)
	}
	return token
}

func (v *visitor) healthExchange() (x healthExchange, body string) {
	v.t.Helper()
	_, body = v.send(http.MethodGet, "/demo/health/exchange", nil)
	if err := json.Unmarshal([]byte(body), &x); err != nil {
		v.t.Fatalf("%v in %s", err, body)
	}
	return x, body
}

// A picture of the page may be passed around, and the page says what the browser
// never had: neither may be wrong.
func TestHealthExchangeHidesSecrets(t *testing.T) {
	d := running(t)
	alice := d.visitor(t, "alice")
	account := connect.SampleAccounts(1)[0]
	token := alice.connectHealth(account)
	if res, body := alice.send(http.MethodGet, profilePath, nil); res.StatusCode != http.StatusOK || !strings.Contains(body, account.Name) {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	x, body := alice.healthExchange()
	if x.Token != token || x.Sent == nil || x.Received == nil || len(x.Steps) != 1 || len(x.Asked) != 3 || len(x.Answered) != 4 {
		t.Fatalf("something is missing: %s", body)
	}
	if x.Sent.Path != profilePath || x.Received.Path != "/v1/human/profile" {
		t.Errorf("sent %s, received %s", x.Sent.Path, x.Received.Path)
	}
	site, _ := url.Parse(d.stack.URL())
	secrets := map[string]string{
		"client secret": d.health.platform.Applications()[0].ClientSecret,
		"access token":  d.health.platform.Connections()[0].AccessToken,
	}
	for _, cookie := range alice.client.Jar.Cookies(site) {
		secrets["cookie "+cookie.Name] = cookie.Value
	}
	for what, secret := range secrets {
		if len(secret) < 16 || strings.Contains(body, secret) || strings.Contains(body, secret[:6]) {
			t.Errorf("%s is there in full: %s", what, body)
		}
	}
	unseen := 0
	for _, p := range append(append(x.Received.Headers, x.Asked...), x.Answered...) {
		if p.Secret && p.Unseen {
			unseen++
		} else if p.Secret {
			t.Errorf("%s is said to have been in the browser", p.Name)
		}
	}
	if unseen != 1+1+1 {
		t.Errorf("%d secrets that the browser never had", unseen)
	}
}

// Two people may use the demo at the same time: nobody is shown what somebody else
// does, and nobody gets anything by another's special token, used or not.
func TestHealthExchangeIsOfOnePerson(t *testing.T) {
	d := running(t)
	alice, bob, nobody := d.visitor(t, "alice"), d.visitor(t, "bob"), d.visitor(t, "")
	account := connect.SampleAccounts(1)[0]
	token := alice.connectHealth(account)
	alice.send(http.MethodGet, profilePath, nil)
	bob.finishWidget(account)
	for from, want := range map[string]struct {
		status int
		code   string
	}{
		"another": {http.StatusUnprocessableEntity, `"token_rejected"`}, // it has been used
		"carol":   {http.StatusConflict, `"account_conflict"`},          // the platform's reply names her
	} {
		var stolen struct{ User, Token string }
		_, body := bob.send(http.MethodPost, "/demo/health/steal/"+from, nil)
		if err := json.Unmarshal([]byte(body), &stolen); err != nil || stolen.Token == "" || (stolen.Token == token) != (from == "another") {
			t.Fatalf("%s: %v, %s", from, err, body)
		}
		if status, body := bob.redeem(stolen.Token); status != want.status || !strings.Contains(body, want.code) {
			t.Errorf("%s: %d %s", from, status, body)
		}
		// Who has somebody's token is not shown what became of it.
		bob.send(http.MethodPost, "/demo/health/held", url.Values{"token": {stolen.Token}})
	}
	if n := d.health.platform.ExchangesOf(token); n != 1 {
		t.Errorf("Alice's token was exchanged %d times", n)
	}
	bob.send(http.MethodGet, profilePath, nil)
	for name, v := range map[string]*visitor{"bob": bob, "nobody": nobody} {
		if x, body := v.healthExchange(); x.Received != nil || x.Token != "" || x.Answered != nil || strings.Contains(body, account.UserCode) {
			t.Errorf("%s is shown %s", name, body)
		}
	}
	if x, body := alice.healthExchange(); x.Received == nil || x.Token != token {
		t.Errorf("alice is shown %s", body)
	}
	if res, _ := alice.send(http.MethodDelete, healthConnectPath, nil); res.StatusCode != http.StatusNoContent {
		t.Errorf("disconnecting: %d", res.StatusCode)
	}
	if x, body := alice.healthExchange(); x.Sent != nil || x.Token != "" {
		t.Errorf("afterwards alice is shown %s", body)
	}
	bob.connectHealth(account)
	if res, body := bob.send(http.MethodGet, profilePath, nil); res.StatusCode != http.StatusOK || !strings.Contains(body, account.Name) {
		t.Errorf("then bob: %d %s", res.StatusCode, body)
	}
}

// What the page says about tokens is no other site's choice, and is about somebody.
func TestHealthNeedsItsUser(t *testing.T) {
	d := running(t)
	session := d.visitor(t, "alice").session
	for name, c := range map[string]struct {
		session, path string
		header        []string
		want          int
	}{
		"nobody holds":     {"", "/demo/health/held?token=x", nil, http.StatusConflict},
		"an unknown token": {session, "/demo/health/held?token=x", nil, http.StatusConflict},
		"nobody to rob":    {session, "/demo/health/steal/another", nil, http.StatusConflict},
		"an unknown way":   {session, "/demo/health/steal/x", nil, http.StatusConflict},
		"another site":     {session, "/demo/health/steal/carol", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
	} {
		if status, _ := d.do(t, c.session, "POST", c.path, c.header...); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	if n := len(d.health.platform.Records()); n != 0 {
		t.Errorf("the platform was asked %d times", n)
	}
}

// Only the page with the widget lets the platform's script in, from no other origin.
func TestHealthPolicy(t *testing.T) {
	d := running(t)
	for path, want := range map[string]bool{"/health.html": true, "/": false, "/mydex.html": false, "/demo/state": false} {
		res, err := http.Get(d.stack.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		policy := res.Header.Get("Content-Security-Policy")
		if got := strings.Contains(policy, "script-src 'self' "+d.stack.HealthURL+"; frame-src "+d.stack.HealthURL); got != want || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s", path, policy)
		}
		if got := res.Header.Get("Cross-Origin-Opener-Policy"); got != "same-origin" {
			t.Errorf("%s: COOP %q", path, got)
		}
	}
}
