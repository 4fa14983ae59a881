// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// Where the Caddyfile has the data platform.
const (
	healthPath        = "/health/"
	healthConnectPath = "/connect/health/"
	healthClient      = "demo"
)

// carolsAccount is who Carol, whom the demo plays, is at the data platform.
var carolsAccount = connect.Account{UserCode: "uc-carol-0001", Name: "Carol"}

// healthPlatform is the third platform, with a Connect widget in the app's page: its
// special tokens are exchanged by Caddy. The page says which token the widget gave
// to whom, because nobody is to be shown what somebody else does.
type healthPlatform struct {
	platform *connect.Platform
	server   *httptest.Server
	url      string

	mu      sync.Mutex
	latest  map[string]browserRequest   // call, by session
	redeems map[string][]browserRequest // by user, in order
	held    []heldToken                 // in order
}

// heldToken is a special token and the user in whose page the widget was.
type heldToken struct {
	user, token string
	exchange    connect.Record     // Caddy's request
	connection  connect.Connection // what that led to
	forgotten   bool               // its user has disconnected
}

// newHealthPlatform starts the platform. The client secret is made up anew each
// time, and left in a file for Caddy.
func newHealthPlatform(s *stack.Stack) (*healthPlatform, error) {
	secret := rand.Text()
	if err := os.WriteFile(filepath.Join(s.Dir, "health-client-secret"), []byte(secret), 0o600); err != nil {
		return nil, err
	}
	p := connect.New(connect.Options{
		Applications: []connect.Application{{ClientID: healthClient, ClientSecret: secret, Name: "The demo's app", Origins: []string{s.URL()}}},
		Accounts:     append(connect.SampleAccounts(3), carolsAccount),
	})
	server := httptest.NewServer(p)
	// Browsers meet it as another site, as in reality.
	s.HealthURL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return &healthPlatform{
		platform: p, server: server, url: s.HealthURL,
		latest: make(map[string]browserRequest), redeems: make(map[string][]browserRequest),
	}, nil
}

// withWidget lets the platform's widget, its script and its frame, into the page.
func (p *healthPlatform) withWidget(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", contentPolicy+"; script-src 'self' "+p.url+"; frame-src "+p.url)
		h.ServeHTTP(w, r)
	})
}

// serveHealth adds what the page about the data platform asks for.
//
//	GET  /demo/health/exchange     the session's latest call, and how its user's special token was exchanged
//	POST /demo/health/held         tells which special token the widget gave to the signed-in user's page
//	POST /demo/health/steal/{from} answers with a special token of another user: from another, the one
//	                               that was exchanged last; from carol, one that nobody has used
//	POST /demo/health/asked        answers how often a special token has arrived at the platform
func (d *demo) serveHealth() {
	app, p := d.stack.App, d.health
	app.Handle("GET /demo/health/exchange", guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, user := app.Session(r)
		answer(w, p.of(session, user))
	})))
	app.Handle("POST /demo/health/held", guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, user := app.Session(r)
		if token := r.FormValue("token"); user == "" || token == "" || !p.hold(user, token) {
			http.Error(w, "sign in first, and say which token the widget gave to this page", http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})))
	app.Handle("POST /demo/health/steal/{from}", guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, user := app.Session(r)
		stolen, ok := p.steal(user, r.PathValue("from"))
		if !ok {
			http.Error(w, "nobody else has connected an account yet", http.StatusConflict)
			return
		}
		answer(w, map[string]string{"user": stolen.user, "token": stolen.token})
	})))
	app.Handle("POST /demo/health/asked", guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]int{"times": p.platform.ExchangesOf(r.FormValue("token"))})
	})))
}

// watch notes the latest call of each session, who posts a special token, and who
// wants to be forgotten.
func (p *healthPlatform) watch(session, user string, r *http.Request) {
	s := browserRequestOf(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch rest, connecting := strings.CutPrefix(s.uri, healthConnectPath); {
	case !connecting:
		p.latest[session] = s
	case user == "":
	case s.method == http.MethodPost && rest == "redeem":
		p.redeems[user] = append(p.redeems[user], s)
	case s.method == http.MethodDelete && rest == "":
		delete(p.latest, session)
		delete(p.redeems, user)
		for i := range p.held { // which stay known: a used one is refused all the same
			if p.held[i].user == user {
				p.held[i].forgotten = true
			}
		}
	}
}

// hold notes whose page the widget gave a special token to. A token that is known
// already stays whose it is, and one that was not exchanged is nobody's.
func (p *healthPlatform) hold(user, token string) bool {
	t := heldToken{user: user, token: token}
	var ok bool
	if t.exchange, ok = exchangeOf(token, p.platform.Records()); !ok {
		return false
	}
	for _, n := range p.platform.Connections() {
		if n.ClientID == t.exchange.ClientID && n.UserCode == t.exchange.UserCode {
			t.connection = n
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.held {
		if known.token == token {
			return known.user == user
		}
	}
	p.held = append(p.held, t)
	return true
}

// heldBy returns a user's special tokens since they last disconnected, the latest
// first.
func (p *healthPlatform) heldBy(user string) (tokens []heldToken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range slices.Backward(p.held) {
		if user != "" && t.user == user && !t.forgotten {
			tokens = append(tokens, t)
		}
	}
	return tokens
}

// steal returns a special token of somebody else. Carol has just pressed "Finish
// connecting data", and her token has not reached her page.
func (p *healthPlatform) steal(user, from string) (heldToken, bool) {
	if from == carol.Identifier {
		token, err := p.platform.Connect(healthClient, carol.Identifier, carolsAccount.UserCode)
		if err != nil {
			return heldToken{}, false
		}
		t := heldToken{user: carol.Identifier, token: token}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held = append(p.held, t)
		return t, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range slices.Backward(p.held) {
		if from == "another" && t.user != user && t.user != carol.Identifier {
			return t, true
		}
	}
	return heldToken{}, false
}
