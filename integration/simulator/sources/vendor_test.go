// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	clientID     = "client:1"
	clientSecret = "invented secret+%/1"
	otherClient  = "client-2"
	redirectURI  = "https://app.example.org/connect/return/lab?kept=1"
	verifier     = "a-verifier-that-is-long-enough-for-rfc-7636-43"
)

// vendor is a simulator on loopback with two clients and three people, and a clock
// that only the test moves.
type vendor struct {
	*Vendor
	t    *testing.T
	base string

	mu  sync.Mutex
	now time.Time
}

func newVendor(t *testing.T, preset string) *vendor {
	t.Helper()
	v := &vendor{t: t, now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	v.Vendor = New(Options{
		Preset: preset,
		Clients: []Client{
			{ID: clientID, Secret: clientSecret, Name: "Study", RedirectURIs: []string{redirectURI}},
			{ID: otherClient, Secret: "another"},
		},
		Accounts: SampleAccounts(3),
		Clock: func() time.Time {
			v.mu.Lock()
			defer v.mu.Unlock()
			return v.now
		},
	})
	server := httptest.NewServer(v.Vendor)
	t.Cleanup(server.Close)
	v.base = server.URL
	return v
}

func (v *vendor) pass(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = v.now.Add(d)
}

type response struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

// try sends a request. A header is "Name: value".
func (v *vendor) try(method, target, body string, header ...string) (response, error) {
	v.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = v.base + target
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return response{}, err
	}
	r := response{status: res.StatusCode, header: res.Header, body: string(b)}
	_ = json.Unmarshal(b, &r.json)
	return r, nil
}

func (v *vendor) send(method, target, body string, header ...string) response {
	v.t.Helper()
	r, err := v.try(method, target, body, header...)
	if err != nil {
		v.t.Fatal(err)
	}
	return r
}

// authorize is a good authorize URL; each change is "name=value", or "name" to leave
// the parameter out.
func (v *vendor) authorize(changes ...string) string {
	v.t.Helper()
	s := v.Settings()
	q := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {"state-0123456789"},
		"scope": {strings.Join(s.Scopes, s.separator())},
	}
	if len(s.Scopes) == 0 {
		q.Del("scope")
	}
	if s.PKCE == "required" {
		q.Set("code_challenge", challenge(verifier))
		q.Set("code_challenge_method", "S256")
	}
	if s.Protocol == SMART {
		q.Set("aud", v.base+s.Paths.Data)
	}
	return v.base + s.Paths.Authorize + "?" + change(q, changes).Encode()
}

func change(q url.Values, changes []string) url.Values {
	for _, c := range changes {
		name, value, ok := strings.Cut(c, "=")
		switch {
		case !ok:
			q.Del(name)
		case strings.HasPrefix(name, "+"):
			q.Add(name[1:], value)
		default:
			q.Set(name, value)
		}
	}
	return q
}

// decide has a person decide, and returns the redirect's query.
func (v *vendor) decide(authorizeURL string, d Decision) url.Values {
	v.t.Helper()
	to, err := v.Decide(authorizeURL, d)
	if err != nil {
		v.t.Fatal(err)
	}
	if !strings.HasPrefix(to, redirectURI+"&") {
		v.t.Fatalf("the browser is led to %q", to)
	}
	u, err := url.Parse(to)
	if err != nil {
		v.t.Fatal(err)
	}
	return u.Query()
}

// code has a person allow all, and returns the code.
func (v *vendor) code(changes ...string) string {
	v.t.Helper()
	q := v.decide(v.authorize(changes...), Decision{})
	if q.Get("code") == "" {
		v.t.Fatalf("no code in %v", q)
	}
	return q.Get("code")
}

// tokens posts to the token endpoint, with the client's secret where the vendor wants
// it, and the parameters that the vendor wants.
func (v *vendor) tokens(form url.Values, changes ...string) response {
	v.t.Helper()
	s := v.Settings()
	path, more := s.Paths.Token, s.TokenParams
	if form.Get("grant_type") == "refresh_token" {
		path, more = s.Paths.Refresh, s.RefreshParams
	}
	for name, value := range more {
		if value == "redirect_uri" {
			value = redirectURI
		}
		form.Set(name, value)
	}
	header := []string{"Content-Type: application/x-www-form-urlencoded"}
	if s.ClientAuth[0] == "basic" {
		header = append(header, basicHeader(clientID, clientSecret))
	} else {
		form.Set("client_id", clientID)
		form.Set("client_secret", clientSecret)
	}
	return v.send(http.MethodPost, path, change(form, changes).Encode(), header...)
}

func basicHeader(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return "Authorization: " + r.Header.Get("Authorization")
}

func (v *vendor) redeem(code string, changes ...string) response {
	v.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}}
	if v.Settings().PKCE == "required" {
		form.Set("code_verifier", verifier)
	}
	return v.tokens(form, changes...)
}

func (v *vendor) refresh(token string, changes ...string) response {
	v.t.Helper()
	return v.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, changes...)
}

// connect has a person consent, and returns the token endpoint's answer.
func (v *vendor) connect(changes ...string) response {
	v.t.Helper()
	r := v.redeem(v.code(changes...))
	if r.status != http.StatusOK {
		v.t.Fatalf("status %d: %s", r.status, r.body)
	}
	return r
}

func (v *vendor) get(path, token string, header ...string) response {
	v.t.Helper()
	return v.send(http.MethodGet, path, "", append(header, "Authorization: Bearer "+token)...)
}

// text is a member of an answer.
func (r response) text(name string) string {
	s, _ := r.json[name].(string)
	return s
}

// serve answers a GET without a server, and returns the status.
func serve(t *testing.T, h http.Handler, path, token string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
