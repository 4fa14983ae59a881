// SPDX-License-Identifier: Apache-2.0

// Package mydex plays Mydex for tests and for the demo: the OAuth 2.0 server,
// the Personal Data eXchange, and the identity service with the pages that a
// member clicks through. It is strict where the platform is known to be
// strict, reads requests as a PHP server does, and can be told to fail and to
// call back in every disorderly way.
//
// It holds made-up data only. Never give it a secret that opens anything else.
package mydex

import (
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// ScopePDX is the scope that every call needs.
const ScopePDX = "mydex:pdx"

// Options are what a simulated Mydex knows from the start.
type Options struct {
	// ClientID and ClientSecret are the subscriber's OAuth 2.0 client.
	ClientID     string
	ClientSecret string

	// Scopes are what the client may ask for. Default: [ScopePDX].
	Scopes []string

	// ConnectionNID and ConnectionToken are the subscriber's dedicated connection.
	ConnectionNID   string
	ConnectionToken string

	// CallbackURL is called when a member has agreed. It may be set later, with
	// [Mydex.SetCallbackURL].
	CallbackURL string

	// LoginURL is where browsers reach [Mydex.Identity], without a path.
	// Default: where the request for the link came in.
	LoginURL string

	// Datasets are what the connection asks members to share; the callback
	// lists them. Default: ds_personal_details and ds_referrals.
	Datasets []string

	// Members are the people with a MydexID. See [SampleMembers].
	Members []Member

	// Client calls the callback URL. Default: one that follows no redirect and
	// gives up after ten seconds.
	Client *http.Client

	// Clock tells the time. Default: [time.Now].
	Clock func() time.Time
}

// Mydex is a simulated Mydex. In reality its three roles are different hosts:
// [Mydex.OP], [Mydex.PDX] and [Mydex.Identity]. It is itself an [http.Handler]
// that plays them all on one address, where their paths do not collide. Each
// also serves the control calls under /_simulator/. It has no goroutines of
// its own; any number of servers may serve it.
type Mydex struct {
	clientID string
	nid      string
	token    string // of the dedicated connection
	hash     string // of that token: what it sends and wants to be sent
	datasets []string
	client   *http.Client
	clock    func() time.Time

	clientSecret atomic.Pointer[string]
	callbackURL  atomic.Pointer[string]
	loginURL     atomic.Pointer[string]

	settings *control.Settings[Settings]

	people  registry
	tokens  tokenStore
	flows   consentFlows
	nonces  nonces
	records control.Records[Record, Counts]
	outbox  outbox
	data    store

	identifiers identifiers
}

// New returns a simulator with the default [Settings].
func New(o Options) *Mydex {
	m := &Mydex{
		clientID: o.ClientID,
		nid:      o.ConnectionNID,
		token:    o.ConnectionToken,
		hash:     Hash(o.ConnectionToken),
		datasets: o.Datasets,
		client:   o.Client,
		clock:    o.Clock,
	}
	if m.clock == nil {
		m.clock = time.Now
	}
	if m.client == nil {
		m.client = &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if m.datasets == nil {
		m.datasets = []string{"ds_personal_details", "ds_referrals"}
	}
	m.SetClientSecret(o.ClientSecret)
	m.SetCallbackURL(o.CallbackURL)
	m.SetLoginURL(o.LoginURL)
	settings := defaultSettings()
	if o.Scopes != nil {
		settings.Scopes = o.Scopes
	}
	m.settings = control.NewSettings(settings, Settings.clone, (*Settings).validate)
	for _, p := range o.Members {
		m.AddMember(p)
	}
	return m
}

// Hash is the connection_token_hash of a connection token, which is also the
// Authentication header of callbacks.
func Hash(connectionToken string) string {
	sum := sha512.Sum512([]byte(connectionToken))
	return hex.EncodeToString(sum[:])
}

// SetClientSecret replaces the client's secret. Tokens stay good.
func (m *Mydex) SetClientSecret(secret string) { m.clientSecret.Store(&secret) }

// SetCallbackURL says where members' agreements are reported from now on.
func (m *Mydex) SetCallbackURL(url string) { m.callbackURL.Store(&url) }

// SetLoginURL says where browsers reach [Mydex.Identity].
func (m *Mydex) SetLoginURL(url string) {
	url = strings.TrimSuffix(url, "/")
	m.loginURL.Store(&url)
}

// Revoke makes the API refuse all tokens issued so far.
func (m *Mydex) Revoke() { m.tokens.revokeAll() }

// Records returns what is remembered of the latest requests, oldest first.
func (m *Mydex) Records() []Record { return m.records.After(0) }

// Counts returns the totals since the start or the last [Mydex.Reset].
func (m *Mydex) Counts() Counts { return m.records.Counts() }

// Reset forgets records, counts and deliveries, also those held back. Members,
// connections, data, tokens, links and settings stay as they are.
func (m *Mydex) Reset() {
	m.records.Reset(resetCounts)
	m.outbox.reset()
}

// OP is the OAuth 2.0 server: op.mydexid.org.
func (m *Mydex) OP() http.Handler { return m.host(roleOP, (*call).serveOP) }

// PDX is the Personal Data eXchange: api.mydex.org.
func (m *Mydex) PDX() http.Handler { return m.host(rolePDX, (*call).servePDX) }

// Identity is the identity service and the pages that members see:
// idp.mydexid.org and login.mydex.org.
func (m *Mydex) Identity() http.Handler { return m.host(roleIdentity, (*call).serveIdentity) }

func (m *Mydex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	role := m.PDX()
	if segments := splitPath(r.URL); len(segments) > 0 {
		switch segments[0] {
		case "oauth2":
			role = m.OP()
		case "ftc", "identify", "members":
			role = m.Identity()
		}
	}
	role.ServeHTTP(w, r)
}

func (m *Mydex) host(role string, serve func(*call)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		segments := splitPath(r.URL)
		if len(segments) > 0 && segments[0] == "_simulator" {
			m.control(w, r, segments[1:])
			return
		}
		c := m.begin(w, r, role, segments)
		defer c.end()
		if c.outage() {
			serve(c)
		}
	})
}
