// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// oneTime is a one-time token that the widget handed over.
type oneTime struct {
	clientID, user, userCode string
	expires                  time.Time
	used                     bool
}

// connection is what an application has of an account.
type connection struct {
	clientID, userCode string
	user               string          // who connected it last, in the application's words
	sources            map[string]bool // that are connected, by ID; replaced, never changed
	access             string          // empty: none, or revoked
	public             string
}

// store keeps one-time tokens and connections, in memory.
type store struct {
	mu          sync.RWMutex
	oneTime     map[string]*oneTime
	sweepAt     int
	connections map[[2]string]*connection // by client ID and user code
	byAccess    map[string]*connection
	byPublic    map[string]*connection
	calls       map[string]int // of the exchange, by one-time token
}

// rememberExpired is how long a token that has expired is told from an unknown one.
const rememberExpired = time.Hour

// maxCalls bounds the memory that counts by token take.
const maxCalls = 1 << 20

// add returns a new one-time token.
func (s *store) add(t oneTime, now time.Time) string {
	token := "st-" + strings.ToLower(rand.Text())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oneTime == nil {
		s.oneTime = make(map[string]*oneTime)
	}
	if len(s.oneTime) >= s.sweepAt {
		maps.DeleteFunc(s.oneTime, func(_ string, t *oneTime) bool { return now.Sub(t.expires) > rememberExpired })
		s.sweepAt = max(1024, 2*len(s.oneTime))
	}
	s.oneTime[token] = &t
	return token
}

// of returns the connection of an account, which it makes if there is none. The
// caller holds the lock.
func (s *store) of(clientID, userCode string) *connection {
	key := [2]string{clientID, userCode}
	if s.connections == nil {
		s.connections = make(map[[2]string]*connection)
		s.byAccess, s.byPublic = make(map[string]*connection), make(map[string]*connection)
	}
	if s.connections[key] == nil {
		s.connections[key] = &connection{clientID: clientID, userCode: userCode, sources: make(map[string]bool)}
	}
	return s.connections[key]
}

// redeem uses a one-time token up and returns the connection. userCode is the
// account that the caller says it is of, or empty.
func (s *store) redeem(token, clientID, userCode string, settings *Settings, now time.Time) (connection, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.oneTime[token]
	refused := func(code, reason string) (connection, *refusal) {
		return connection{}, &refusal{settings.TokenRefusal, code, reason}
	}
	switch {
	case t == nil:
		return refused("token_unknown", "the one-time token is unknown")
	case t.clientID != clientID:
		return refused("token_of_another_application", "the one-time token was issued to another application")
	case userCode != "" && userCode != t.userCode:
		return refused("token_of_another_account", "the one-time token is of another account")
	case t.used && !settings.Reusable:
		return refused("token_used", "the one-time token was used before")
	case !now.Before(t.expires):
		return refused("token_expired", "the one-time token is expired")
	}
	t.used = true
	n := s.of(t.clientID, t.userCode)
	n.user = t.user
	delete(s.byPublic, n.public)
	n.public = "pt-" + strings.ToLower(rand.Text())
	s.byPublic[n.public] = n
	if n.access == "" || settings.AccessToken == "changes" {
		delete(s.byAccess, n.access)
		n.access = "at-" + strings.ToLower(rand.Text())
		s.byAccess[n.access] = n
	}
	return *n, nil
}

// open returns the connection of an access token.
func (s *store) open(access string) (connection, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.byAccess[access]
	if n == nil {
		return connection{}, false
	}
	return *n, true
}

// returning returns the connection of a public token.
func (s *store) returning(public string) (connection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byPublic[public]
	if n == nil {
		return connection{}, false
	}
	return *n, true
}

// find returns the connection of an account whose token was redeemed once.
func (s *store) find(clientID, userCode string) (connection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.connections[[2]string{clientID, userCode}]
	if n == nil || n.public == "" {
		return connection{}, false
	}
	return *n, true
}

// sources returns which sources of an account are connected, after a change to one.
// The map is not to be changed afterwards.
func (s *store) sources(clientID, userCode string, change func(map[string]bool)) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.of(clientID, userCode)
	sources := maps.Clone(n.sources)
	change(sources)
	n.sources = sources
	return sources
}

func (s *store) countCall(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = make(map[string]int)
	}
	if len(s.calls) < maxCalls {
		s.calls[token]++
	}
}

func (s *store) resetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// ExchangesOf returns how often a one-time token, known or not, arrived at the
// exchange with the right client secret or a wrong one.
func (p *Platform) ExchangesOf(token string) int {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	return p.store.calls[token]
}

// Revoke ends the access token that an application has for an account, as if the
// person had withdrawn at the platform. The next exchange gives another one.
func (p *Platform) Revoke(clientID, userCode string) {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if n := p.store.connections[[2]string{clientID, userCode}]; n != nil {
		delete(p.store.byAccess, n.access)
		n.access = ""
	}
}

// Connect is a whole visit to the widget: the person at the application connects
// all sources of an account, and presses "Finish connecting data". It returns
// the one-time token.
func (p *Platform) Connect(clientID, clientUserID, userCode string) (token string, err error) {
	a, ok := p.applications.find(clientID)
	if !ok {
		return "", errNoApplication
	}
	if _, ok := p.accounts.byCode[userCode]; !ok {
		return "", errors.New("there is no account of that user code")
	}
	p.store.sources(a.ClientID, userCode, func(connected map[string]bool) {
		for _, s := range sources {
			connected[s.ID] = true
		}
	})
	return p.finish(a.ClientID, clientUserID, userCode), nil
}

// finish returns a one-time token.
func (p *Platform) finish(clientID, user, userCode string) string {
	now := p.clock()
	lifetime := time.Duration(p.settings.Load().Settings.TokenLifetime) * time.Second
	return p.store.add(oneTime{clientID: clientID, user: user, userCode: userCode, expires: now.Add(lifetime)}, now)
}

// Handover is what the widget gives the page with a one-time token: an object in
// the names of the preset, or the bare token.
func (p *Platform) Handover(token string) any {
	s := &p.settings.Load().Settings
	if s.PlainToken {
		return token
	}
	names := s.names()
	object := map[string]string{names.Token: token}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if t := p.store.oneTime[token]; t != nil && s.Preset == HumanConnectV1 {
		object[names.Account] = p.accounts.text(s, t.userCode)
		object[names.Client] = t.clientID
	}
	return object
}

// Connection is what an application has of an account.
type Connection struct {
	ClientID     string   `json:"clientId"`
	UserCode     string   `json:"userCode"`
	ClientUserID string   `json:"clientUserId"`
	Sources      []string `json:"sources"`
	AccessToken  string   `json:"accessToken"`
	PublicToken  string   `json:"publicToken"`
}

// Connections returns all of them, ordered by application and account.
func (p *Platform) Connections() []Connection {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	all := make([]Connection, 0, len(p.store.connections))
	for _, n := range p.store.connections {
		all = append(all, Connection{n.clientID, n.userCode, n.user, slices.Sorted(maps.Keys(n.sources)), n.access, n.public})
	}
	slices.SortFunc(all, func(a, b Connection) int {
		return strings.Compare(a.ClientID+"\x00"+a.UserCode, b.ClientID+"\x00"+b.UserCode)
	})
	return all
}

var errUnknownToken = &refusal{http.StatusUnauthorized, "access_token_invalid", "the access token is unknown or revoked"}
