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
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// Where the Caddyfile has Mydex.
const (
	proxyPath    = "/pdx/"
	connectPath  = "/connect/mydex/"
	callbackPath = connectPath + "callback/"
)

// consented is the second platform, Mydex: nobody's data can be read there
// before they have consented. It knows on whose way which member was connected,
// because nobody is to be shown what somebody else does.
type consented struct {
	platform *mydex.Mydex
	server   *httptest.Server

	mu         sync.Mutex
	latest     map[string]sight // call, by session
	departures []departure
	trips      map[string]journey // by the member's uid
}

// departure is that somebody set out.
type departure struct {
	user string
	at   time.Time
}

// newConsented starts the platform. Its secrets are made up anew each time, and
// left in files for Caddy.
func newConsented(s *stack.Stack) (*consented, error) {
	secret, token, segment := rand.Text(), rand.Text(), rand.Text()
	for name, text := range map[string]string{"client-secret": secret, "connection-token": token, "callback": segment} {
		if err := os.WriteFile(filepath.Join(s.Dir, "mydex-"+name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	m := mydex.New(mydex.Options{
		ClientID: "demo", ClientSecret: secret, ConnectionNID: "45678", ConnectionToken: token,
		Scopes:      []string{mydex.ScopePDX, "post:/calendar/add-event", "get:/calendar/get-events"},
		Datasets:    []string{"ds_personal_details"},
		Members:     mydex.SampleMembers(3),
		CallbackURL: s.URL() + callbackPath + segment,
	})
	// Who tries somebody else's member must not take away the key that they have.
	m.Set(func(s *mydex.Settings) { s.KeepKey = true })
	for _, p := range m.Members() {
		name := strings.TrimRight(p.MydexID, "0123456789")
		m.Fill(p.UID, "ds_personal_details", 0, map[string]any{
			"field_personal_fname": name, "field_personal_faname": "Example", "field_personal_email_address": strings.ToLower(name) + "@example.org",
		})
	}
	server := httptest.NewServer(m)
	s.MydexURL = server.URL
	// Browsers meet it as another site, as in reality: what they keep for the
	// app they do not send there.
	m.SetLoginURL(strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	return &consented{platform: m, server: server, latest: make(map[string]sight), trips: make(map[string]journey)}, nil
}

// serveMydex adds what the page about Mydex asks for.
//
//	GET  /demo/mydex/exchange  the session's latest call, and how its user was connected
//	POST /demo/mydex/withdraw  has Mydex take back what the signed-in user's member agreed to
func (d *demo) serveMydex() {
	app := d.stack.App
	app.Handle("GET /demo/mydex/exchange", guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, user := app.Session(r)
		answer(w, d.mydex.of(session, user))
	})))
	app.Handle("POST /demo/mydex/withdraw", guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, user := app.Session(r)
		members := d.mydex.members(user)
		if len(members) == 0 {
			http.Error(w, "connect a member first", http.StatusConflict)
			return
		}
		for _, uid := range members {
			d.mydex.platform.Withdraw(uid)
		}
		w.WriteHeader(http.StatusNoContent)
	})))
}

// members are the uids that a user has connected.
func (c *consented) members(user string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	uids := []string{}
	for uid, t := range c.trips {
		if user != "" && t.user == user {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// watch notes the latest call of each session, who sets out for Mydex and comes
// back, and who wants to be forgotten.
func (c *consented) watch(session, user string, r *http.Request) {
	s := see(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch rest, journeys := strings.CutPrefix(s.uri, connectPath); {
	case !journeys:
		c.latest[session] = s
	case user == "":
	case s.method == http.MethodPost:
		c.departures = append(c.departures, departure{user, s.at})
	case s.method == http.MethodGet:
		c.arrived(user, s)
	case s.method == http.MethodDelete && rest == "":
		delete(c.latest, session)
		for uid, t := range c.trips {
			if t.user == user {
				delete(c.trips, uid)
			}
		}
	}
}

// arrived finds out which member's journey ends. Whose member is another
// user's already, and whoever comes back from another's journey, gets none of
// theirs: Caddy refuses it as well.
func (c *consented) arrived(user string, back sight) {
	for _, state := range slices.Backward(back.states()) { // the latest last
		t, ok := findJourney(state, c.platform.Records(), c.platform.Deliveries())
		if !ok || c.setOut(t.setup.Time) != user {
			continue
		}
		if old, taken := c.trips[t.callback.UID]; taken && old.user != user {
			continue
		}
		t.user, t.back = user, back
		c.trips[t.callback.UID] = t
	}
}

// setOut tells who had set out last when Caddy asked Mydex for a journey.
func (c *consented) setOut(asked time.Time) string {
	for _, s := range slices.Backward(c.departures) {
		if s.at.Before(asked) {
			return s.user
		}
	}
	return ""
}
