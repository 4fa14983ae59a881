// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// Where the Caddyfile has the sources.
const (
	sourcesPath        = "/sources/"
	sourcesConnectPath = "/connect/sources/"
)

// vendorOptions are the vendors by the names that the sources have in the Caddyfile.
var vendorOptions = map[string]sources.Options{
	"wearable": {Name: "Pulse"},
	"withings": {Preset: "withings"},
	"hospital": {Preset: "smart"},
	"old_lab":  {Preset: "old_lab"},
}

// vendors are the simulated vendors of data. What a vendor has seen is about accounts:
// whose they are is known from the browsers' returns, because nobody is to be shown
// what somebody else does.
type vendors struct {
	bySource map[string]*vendor

	mu     sync.Mutex
	latest map[[2]string]browserRequest // call, by session and source
}

// vendor is one of them.
type vendor struct {
	*sources.Vendor
	server *httptest.Server
	signed bool // by OAuth 1.0a

	mu       sync.Mutex
	journeys []journey         // of browsers to the vendor and back, in order
	accounts map[string]string // by tokens of theirs, those that have ended too
}

// journey is a browser's way back from the vendor or, without a return, the end of
// what its user had connected.
type journey struct {
	user string
	back browserRequest
}

// newVendors starts the vendors. Their client secrets are made up anew each time, and
// left in files for Caddy.
func newVendors(s *stack.Stack) (*vendors, error) {
	v := &vendors{bySource: make(map[string]*vendor), latest: make(map[[2]string]browserRequest)}
	s.VendorURLs = make(map[string]string)
	for source, o := range vendorOptions {
		client := sources.Client{ID: "demo", Secret: rand.Text(), Name: "The demo's app"}
		if err := os.WriteFile(filepath.Join(s.Dir, source+"-client-secret"), []byte(client.Secret), 0o600); err != nil {
			v.close()
			return nil, err
		}
		o.Accounts, o.Clients = sources.SampleAccounts(4), []sources.Client{client}
		one := &vendor{Vendor: sources.New(o), accounts: make(map[string]string)}
		one.signed = one.Settings().Protocol == sources.OAuth1
		one.server = httptest.NewServer(one.Vendor)
		v.bySource[source] = one
		// Browsers meet it as another site, as in reality.
		s.VendorURLs[source] = strings.Replace(one.server.URL, "127.0.0.1", "localhost", 1)
	}
	return v, nil
}

func (v *vendors) close() {
	for _, one := range v.bySource {
		one.server.Close()
	}
}

// serveSources adds what the page about data sources asks for.
//
//	GET  /demo/sources/{source}/exchange  the session's latest call, and how its user's account was connected
//	POST /demo/sources/{source}/expire    has the vendor end all access tokens, everybody's
//	POST /demo/sources/{source}/withdraw  has the vendor end what the signed-in user's account agreed to
func (d *demo) serveSources() {
	app, v := d.stack.App, d.vendors
	handle := func(pattern string, serve func(w http.ResponseWriter, r *http.Request, source string, one *vendor)) {
		app.Handle(pattern, guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			source := r.PathValue("source")
			if one := v.bySource[source]; one != nil {
				serve(w, r, source, one)
			} else {
				http.Error(w, "there is no such source", http.StatusNotFound)
			}
		})))
	}
	handle("GET /demo/sources/{source}/exchange", func(w http.ResponseWriter, r *http.Request, source string, one *vendor) {
		session, user := app.Session(r)
		v.mu.Lock()
		sent, called := v.latest[[2]string{session, source}]
		v.mu.Unlock()
		x := one.connected(user)
		if called {
			one.showCall(&x, user, sent)
		}
		answer(w, x)
	})
	handle("POST /demo/sources/{source}/expire", func(w http.ResponseWriter, r *http.Request, _ string, one *vendor) {
		_, user := app.Session(r)
		switch {
		case one.signed:
			http.Error(w, "tokens of OAuth 1.0a do not expire", http.StatusConflict)
		case one.accountOf(user) == "":
			http.Error(w, "connect the source first", http.StatusConflict)
		default:
			one.learn()
			one.ExpireAccess()
			w.WriteHeader(http.StatusNoContent)
		}
	})
	handle("POST /demo/sources/{source}/withdraw", func(w http.ResponseWriter, r *http.Request, _ string, one *vendor) {
		_, user := app.Session(r)
		account := one.accountOf(user)
		if account == "" { // which would be everybody
			http.Error(w, "connect the source first", http.StatusConflict)
			return
		}
		one.learn()
		one.Withdraw(account)
		w.WriteHeader(http.StatusNoContent)
	})
}

// watch notes the latest call of each session, who comes back from a vendor, and who
// wants to be forgotten.
func (v *vendors) watch(session, user string, r *http.Request) {
	s := browserRequestOf(r)
	path, _, _ := strings.Cut(s.uri, "?")
	if rest, calling := strings.CutPrefix(path, sourcesPath); calling {
		source, _, _ := strings.Cut(rest, "/")
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.bySource[source] != nil { // what else there is, people may make up
			v.latest[[2]string{session, source}] = s
		}
		return
	}
	endpoint, source, _ := strings.Cut(strings.TrimPrefix(path, sourcesConnectPath), "/")
	switch {
	case user == "":
	case s.method == http.MethodGet && endpoint == "return":
		v.note(source, journey{user, s})
	case s.method == http.MethodPost && endpoint == "disconnect":
		v.forget(session, source, user)
	case s.method == http.MethodDelete:
		v.forget(session, endpoint, user)
	}
}

// forget notes that a user has disconnected a source, or all if it has no name.
func (v *vendors) forget(session, source, user string) {
	for name := range v.bySource {
		if source == "" || source == name {
			v.note(name, journey{user: user})
			v.mu.Lock()
			delete(v.latest, [2]string{session, name})
			v.mu.Unlock()
		}
	}
}

func (v *vendors) note(source string, j journey) {
	if one := v.bySource[source]; one != nil {
		one.mu.Lock()
		defer one.mu.Unlock()
		one.journeys = append(one.journeys, j)
	}
}
