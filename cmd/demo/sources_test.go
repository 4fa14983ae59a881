// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// sourceCalls are calls for which each source has data.
var sourceCalls = map[string]string{
	"wearable": "GET /sources/wearable/measurements",
	"withings": "POST /sources/withings/measure",
	"hospital": "GET /sources/hospital/Observation",
	"old_lab":  "GET /sources/old_lab/measurements",
}

// connectSource goes to a vendor and back, and answers with where the app is told.
func (v *visitor) connectSource(source string, account int) (outcome string) {
	v.t.Helper()
	_, body := v.send(http.MethodPost, sourcesConnectPath+"start/"+source, nil)
	var start struct{ URL string }
	if err := json.Unmarshal([]byte(body), &start); err != nil || start.URL == "" {
		v.t.Fatalf("start: %v, %s", err, body)
	}
	to, err := v.vendors.bySource[source].Decide(start.URL, sources.Decision{Account: sources.SampleAccounts(account + 1)[account].ID})
	if err != nil {
		v.t.Fatal(err)
	}
	res, _ := v.send(http.MethodGet, to, nil)
	return res.Request.URL.Query().Get("connect")
}

func (v *visitor) callSource(source string) (status int, body string) {
	v.t.Helper()
	method, path, _ := strings.Cut(sourceCalls[source], " ")
	res, body := v.send(method, path, nil)
	return res.StatusCode, body
}

func (v *visitor) sourceExchange(source string) (x sourceExchange, body string) {
	v.t.Helper()
	_, body = v.send(http.MethodGet, "/demo/sources/"+source+"/exchange", nil)
	if err := json.Unmarshal([]byte(body), &x); err != nil {
		v.t.Fatalf("%v in %s", err, body)
	}
	return x, body
}

func (x sourceExchange) steps() (steps []string) {
	for _, s := range x.Steps {
		steps = append(steps, s.What)
	}
	return steps
}

// A new user tries all four sources: each is connected, called, called again when its
// token has expired, and disconnected. What the page shows of it opens nothing.
func TestSources(t *testing.T) {
	d := running(t)
	alice := d.visitor(t, "alice")
	site, _ := url.Parse(d.stack.URL())
	for source, one := range d.vendors.bySource {
		if outcome := alice.connectSource(source, 0); outcome != "connected" {
			t.Errorf("%s: %s", source, outcome)
			continue
		}
		if status, body := alice.callSource(source); status != http.StatusOK {
			t.Errorf("%s: %d %s", source, status, body)
		}
		want := []string{"API call"}
		if res, _ := alice.send(http.MethodPost, "/demo/sources/"+source+"/expire", nil); one.signed != (res.StatusCode == http.StatusConflict) {
			t.Errorf("%s: expire: %d", source, res.StatusCode)
		} else if !one.signed {
			want = []string{"API call", "Refresh", "API call"}
			if status, body := alice.callSource(source); status != http.StatusOK {
				t.Errorf("%s, expired: %d %s", source, status, body)
			}
		}
		x, body := alice.sourceExchange(source)
		if x.Sent == nil || x.Received == nil || len(x.Back) < 2 || len(x.Asked) < 4 || len(x.Kept) == 0 || !slices.Equal(x.steps(), want) {
			t.Errorf("%s: something is missing, or %q are not %q: %s", source, x.steps(), want, body)
			continue
		}
		grant := one.Grants()[0]
		secrets := map[string]string{"access token": grant.Access, "refresh token": grant.Refresh}
		for _, c := range alice.client.Jar.Cookies(site) {
			secrets["cookie "+c.Name] = c.Value
		}
		for what, secret := range secrets {
			if secret != "" && strings.Contains(body, secret) {
				t.Errorf("%s: the %s is there in full: %s", source, what, body)
			}
		}
		for _, f := range slices.Concat(x.Received.Headers, x.Kept) {
			if f.Secret && !f.Unseen {
				t.Errorf("%s: %s is said to have been in the browser", source, f.Name)
			}
		}
		if res, _ := alice.send(http.MethodDelete, sourcesConnectPath+source, nil); res.StatusCode != http.StatusNoContent {
			t.Errorf("%s: disconnecting: %d", source, res.StatusCode)
		}
		if x, body := alice.sourceExchange(source); x.Sent != nil || x.Asked != nil {
			t.Errorf("%s: afterwards alice is shown %s", source, body)
		}
	}
}

// Two people may use the demo at the same time: nobody is shown or can end what
// somebody else has, not even by connecting the same account.
func TestSourcesAreOfOnePerson(t *testing.T) {
	d := running(t)
	alice, bob, nobody := d.visitor(t, "alice"), d.visitor(t, "bob"), d.visitor(t, "")
	const source = "old_lab"
	if outcome := alice.connectSource(source, 0); outcome != "connected" {
		t.Fatal(outcome)
	}
	if outcome := bob.connectSource(source, 0); outcome != "account_conflict" {
		t.Errorf("bob, with alice's account: %s", outcome)
	}
	for name, v := range map[string]*visitor{"bob": bob, "nobody": nobody} {
		v.callSource(source)
		if x, body := v.sourceExchange(source); x.Received != nil || x.Asked != nil || x.Kept != nil || len(x.Steps) > 0 {
			t.Errorf("%s is shown %s", name, body)
		}
		for _, what := range []string{"expire", "withdraw"} {
			if res, _ := v.send(http.MethodPost, "/demo/sources/"+source+"/"+what, nil); res.StatusCode != http.StatusConflict {
				t.Errorf("%s: %s: %d", name, what, res.StatusCode)
			}
		}
	}
	if status, body := alice.callSource(source); status != http.StatusOK {
		t.Errorf("alice: %d %s", status, body)
	}
	if res, _ := alice.send(http.MethodPost, "/demo/sources/"+source+"/withdraw", nil); res.StatusCode != http.StatusNoContent {
		t.Errorf("withdraw: %d", res.StatusCode)
	}
	if status, body := alice.callSource(source); status != http.StatusForbidden || !strings.Contains(body, "consent_required") {
		t.Errorf("alice, withdrawn: %d %s", status, body)
	}
	if x, body := alice.sourceExchange(source); len(x.Steps) == 0 || x.Steps[0].Status != http.StatusUnauthorized {
		t.Errorf("the refused call is not shown: %s", body)
	}
	if outcome := alice.connectSource(source, 0); outcome != "connected" {
		t.Errorf("again: %s", outcome)
	}
	for _, path := range []string{"/demo/sources/x/exchange", "/demo/sources/old_lab/x"} {
		if res, _ := alice.send(http.MethodGet, path, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
