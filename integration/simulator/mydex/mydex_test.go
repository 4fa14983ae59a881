// SPDX-License-Identifier: Apache-2.0

package mydex

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
	clientID     = "0b5f0000-0000-4000-8000-00000000c11e"
	clientSecret = "s3cret%2F+&= é" // wrong unless it is encoded before base64
	nid          = "45678"
	token        = "invented-connection-token"
)

var (
	robin = Member{UID: "4020", MydexID: "Robin101"}
	wren  = Member{UID: "4021", MydexID: "Wren102"}
)

// platform is a simulator on loopback, three hosts as in reality, with a clock
// that only the test moves, and the subscriber's callback URL.
type platform struct {
	*Mydex
	t                 *testing.T
	op, pdx, identity string
	subscriber        *subscriber

	mu  sync.Mutex
	now time.Time
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, now: time.Now(), subscriber: newSubscriber(t)}
	p.Mydex = New(Options{
		ClientID: clientID, ClientSecret: clientSecret,
		Scopes:        []string{ScopePDX, "get:/calendar/get-events", "post:/calendar/add-event"},
		ConnectionNID: nid, ConnectionToken: token,
		CallbackURL: p.subscriber.url, Members: []Member{wren, robin},
		Clock: func() time.Time {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.now
		},
	})
	for base, handler := range map[*string]http.Handler{&p.op: p.OP(), &p.pdx: p.PDX(), &p.identity: p.Identity()} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		*base = server.URL
	}
	return p
}

func (p *platform) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// subscriber remembers what the simulator called back.
type subscriber struct {
	url string

	mu     sync.Mutex
	status int
	calls  []callbackCall
}

type callbackCall struct {
	method string
	header http.Header
	body   string
}

func newSubscriber(t *testing.T) *subscriber {
	s := &subscriber{status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, callbackCall{r.Method, r.Header.Clone(), string(b)})
		w.WriteHeader(s.status)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/callback"
	return s
}

func (s *subscriber) received() []callbackCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]callbackCall{}, s.calls...)
}

func (s *subscriber) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

type response struct {
	*http.Response
	body string
	json map[string]any
}

// do sends a request. A header's name may stand twice, as "Name: value" each.
func (p *platform) do(method, target, body string, header ...string) response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("%s %s: reading the answer: %v", method, target, err)
	}
	r := response{Response: res, body: string(b)}
	_ = json.Unmarshal(b, &r.json)
	return r
}

const formEncoded = "Content-Type: application/x-www-form-urlencoded"

func basic(id, secret string) string {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(id, secret)
	return "Authorization: " + req.Header.Get("Authorization")
}

func goodBasic() string { return basic(url.QueryEscape(clientID), url.QueryEscape(clientSecret)) }

func (p *platform) ask(body string, header ...string) response {
	p.t.Helper()
	return p.do(http.MethodPost, p.op+"/oauth2/token", body, append([]string{formEncoded}, header...)...)
}

// bearer is the header with a fresh token of these scopes.
func (p *platform) bearer(scopes ...string) string {
	p.t.Helper()
	if scopes == nil {
		scopes = []string{ScopePDX}
	}
	r := p.ask(url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(scopes, " ")}}.Encode(), goodBasic())
	wantStatus(p.t, r, http.StatusOK)
	return "Authorization: Bearer " + r.json["access_token"].(string)
}

func (p *platform) connect(uid string) Connection {
	p.t.Helper()
	c, err := p.Connect(uid)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
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
