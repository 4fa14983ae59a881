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

// mydexPlatform is the second platform, Mydex: nobody's data can be read there
// before they have consented. It knows on whose way which member was connected,
// because nobody is to be shown what somebody else does.
type mydexPlatform struct {
	platform *mydex.Mydex
	server   *httptest.Server

	mu     sync.Mutex
	latest map[string]browserRequest // call, by session
	starts []flowStart
	flows  map[string]connectFlow // by the member's uid
}

// flowStart is that somebody set out.
type flowStart struct {
	user string
	at   time.Time
}

// newMydexPlatform starts the platform. Its secrets are made up anew each time, and
// left in files for Caddy.
func newMydexPlatform(s *stack.Stack) (*mydexPlatform, error) {
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
	return &mydexPlatform{platform: m, server: server, latest: make(map[string]browserRequest), flows: make(map[string]connectFlow)}, nil
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
func (c *mydexPlatform) members(user string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	uids := []string{}
	for uid, t := range c.flows {
		if user != "" && t.user == user {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// watch notes the latest call of each session, who sets out for Mydex and comes
// back, and who wants to be forgotten.
func (c *mydexPlatform) watch(session, user string, r *http.Request) {
	s := browserRequestOf(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch rest, connecting := strings.CutPrefix(s.uri, connectPath); {
	case !connecting:
		c.latest[session] = s
	case user == "":
	case s.method == http.MethodPost:
		c.starts = append(c.starts, flowStart{user, s.at})
	case s.method == http.MethodGet:
		c.recordReturn(user, s)
	case s.method == http.MethodDelete && rest == "":
		delete(c.latest, session)
		for uid, t := range c.flows {
			if t.user == user {
				delete(c.flows, uid)
			}
		}
	}
}

// recordReturn finds out which member's connect flow ends. Whose member is another
// user's already, and whoever comes back from another's connect flow, gets none of
// theirs: Caddy refuses it as well.
func (c *mydexPlatform) recordReturn(user string, back browserRequest) {
	for _, state := range slices.Backward(back.states()) { // the latest last
		t, ok := findConnectFlow(state, c.platform.Records(), c.platform.Deliveries())
		if !ok || c.startedBy(t.setup.Time) != user {
			continue
		}
		if old, taken := c.flows[t.callback.UID]; taken && old.user != user {
			continue
		}
		t.user, t.back = user, back
		c.flows[t.callback.UID] = t
	}
}

// startedBy is who had last started a connect flow when Caddy asked Mydex for a link.
func (c *mydexPlatform) startedBy(asked time.Time) string {
	for _, s := range slices.Backward(c.starts) {
		if s.at.Before(asked) {
			return s.user
		}
	}
	return ""
}
