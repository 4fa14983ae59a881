// SPDX-License-Identifier: Apache-2.0

// Package widget is a platform whose widget stands in the app's page, and a provider
// for it as somebody else would write one: it imports package delegation alone.
package widget

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
)

// ClientSecret is the provider's at the platform, and no one's business else.
const ClientSecret = "client-secret-7c1f"

// Platform exchanges one-time tokens for access tokens, and serves data.
type Platform struct {
	server *httptest.Server

	mu       sync.Mutex
	tokens   map[string]connection // one-time tokens that nobody has exchanged
	accounts map[string]string     // by access token
	requests []*http.Request       // of data
	down     bool
	gate     chan struct{} // exchanges wait for it; nil: none does

	exchanges, waiting atomic.Int64
}

// connection is what a person has consented to in the widget.
type connection struct{ account, user string }

var platforms sync.Map // by their URL, for the provider, which is in the same process

// NewPlatform starts a platform. It is to be closed.
func NewPlatform() *Platform {
	p := &Platform{tokens: make(map[string]connection), accounts: make(map[string]string)}
	p.server = httptest.NewServer(http.HandlerFunc(p.serveData))
	platforms.Store(p.server.URL, p)
	return p
}

// Close stops it.
func (p *Platform) Close() {
	platforms.Delete(p.server.URL)
	p.server.Close()
}

// URL is where it serves data.
func (p *Platform) URL() string { return p.server.URL }

// Consent is what a person does in the widget that was opened for user: they sign in
// to their account and agree. It returns what the widget hands over.
func (p *Platform) Consent(user, account string) (specialToken string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	specialToken = "special-" + rand.Text()
	p.tokens[specialToken] = connection{account, user}
	return specialToken
}

// SetDown has the platform fail each exchange, after it has read the token.
func (p *Platform) SetDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// Hold has exchanges wait until the returned function is called.
func (p *Platform) Hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gate := make(chan struct{})
	p.gate = gate
	return sync.OnceFunc(func() {
		p.mu.Lock()
		p.gate = nil
		p.mu.Unlock()
		close(gate)
	})
}

// Exchanges is how many exchanges there were, and Waiting how many are under way.
func (p *Platform) Exchanges() int { return int(p.exchanges.Load()) }
func (p *Platform) Waiting() int   { return int(p.waiting.Load()) }

// Requests are the requests of data, as they have arrived.
func (p *Platform) Requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*http.Request(nil), p.requests...)
}

// reply is what an exchange leads to.
type reply struct{ account, user, access, public string }

// exchange takes a one-time token. ok is false if the platform refuses it; err is
// true if it does not answer.
func (p *Platform) exchange(specialToken, clientSecret string) (r reply, ok, failed bool) {
	p.exchanges.Add(1)
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	if gate != nil {
		<-gate
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return r, false, true
	}
	c, ok := p.tokens[specialToken]
	if !ok || clientSecret != ClientSecret {
		return r, false, false
	}
	delete(p.tokens, specialToken)
	r = reply{account: c.account, user: c.user, access: "access-" + rand.Text(), public: "public-" + rand.Text()}
	p.accounts[r.access] = c.account
	return r, true, false
}

// Exchange is what an endpoint that is written by hand does with a special token. ok
// is false if the platform refuses it.
func (p *Platform) Exchange(specialToken string) (account string, ok bool) {
	r, ok, _ := p.exchange(specialToken, ClientSecret)
	return r.account, ok
}

// serveData answers whose data it is by the access token.
func (p *Platform) serveData(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r.Clone(r.Context()))
	const bearer = "Bearer "
	token := r.Header.Get("Authorization")
	account, ok := "", false
	if len(token) > len(bearer) {
		account, ok = p.accounts[token[len(bearer):]]
	}
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = w.Write([]byte(account))
}
