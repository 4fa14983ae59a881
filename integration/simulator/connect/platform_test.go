// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	clientID = "app-one"
	secret   = "invented-client-secret"
	otherID  = "app-two"
)

var (
	ada = Account{UserCode: "uc-ada", Name: "Ada"}
	ben = Account{UserCode: "uc-ben", Name: "Ben"}
)

// platform is a simulator on loopback with two applications and two people, and a
// clock that only the test moves.
type platform struct {
	*Platform
	t    *testing.T
	base string

	mu  sync.Mutex
	now time.Time
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	p.Platform = New(Options{
		Applications: []Application{
			{ClientID: clientID, ClientSecret: secret, Name: "One", Origins: []string{"https://app.example.org"}, FinishURLs: []string{"myapp://done"}},
			{ClientID: otherID, ClientSecret: "another", Name: "Two"},
		},
		Accounts: []Account{ada, ben},
		Clock: func() time.Time {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.now
		},
	})
	server := httptest.NewServer(p.Platform)
	t.Cleanup(server.Close)
	p.base = server.URL
	return p
}

func (p *platform) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

type response struct {
	*http.Response
	body string
	json map[string]any
}

// try sends a request. A header is "Name: value".
func (p *platform) try(method, target, body string, header ...string) (response, error) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+target, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	r := response{Response: res, body: string(b)}
	d := json.NewDecoder(strings.NewReader(r.body))
	d.UseNumber()
	_ = d.Decode(&r.json)
	return r, err
}

func (p *platform) do(method, target, body string, header ...string) response {
	p.t.Helper()
	r, err := p.try(method, target, body, header...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, target, err)
	}
	return r
}

const (
	asJSON = "Content-Type: application/json"
	asForm = "Content-Type: application/x-www-form-urlencoded"
)

// token is a one-time token for somebody at the application who has an account.
func (p *platform) token(user string, account Account) string {
	p.t.Helper()
	token, err := p.Connect(clientID, user, account.UserCode)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// body is the exchange's request, as JSON.
func body(token string, change ...string) string {
	fields := map[string]string{"specialToken": token, "clientId": clientID, "clientSecret": secret}
	for i := 0; i < len(change); i += 2 {
		fields[change[i]] = change[i+1]
	}
	b, _ := json.Marshal(fields)
	return string(b)
}

func (p *platform) exchange(token string, change ...string) response {
	p.t.Helper()
	return p.do("POST", "/v1/connect/tokens", body(token, change...), asJSON)
}

// access is the access token of somebody at the application who has an account.
func (p *platform) access(user string, account Account) string {
	p.t.Helper()
	r := p.exchange(p.token(user, account))
	wantStatus(p.t, r, 200)
	return r.json["accessToken"].(string)
}

func (p *platform) last() Record {
	all := p.Records()
	return all[len(all)-1]
}

func wantStatus(t *testing.T, r response, status int) {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", r.Request.Method, r.Request.URL, r.StatusCode, status, r.body)
	}
}

func wantFields(t *testing.T, r response, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if r.json[name] != value {
			t.Errorf("%s is %v, want %v: %s", name, r.json[name], value, r.body)
		}
	}
}
