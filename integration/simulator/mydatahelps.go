// SPDX-License-Identifier: Apache-2.0

// Package simulator plays the platforms this project talks to, for tests and
// for the demo. It is strict where the platform is known to be strict, makes
// up every participant's data from the participant, and can be told to fail in
// the ways issuers and upstreams fail.
//
// It holds made-up data only. Never give it a key that opens anything else.
package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Options are what a simulated MyDataHelps knows from the start.
type Options struct {
	// Account is the name of the service account.
	Account string

	// Keys are the account's registered public keys. Several are possible, as
	// during rotation.
	Keys []*rsa.PublicKey

	// ProjectID is the project the account administers, a GUID.
	ProjectID string

	// Participants are the participants of the project. See [SampleParticipants].
	Participants []Participant

	// Clock tells the time. Default: [time.Now].
	Clock func() time.Time
}

// MyDataHelps is a simulated MyDataHelps: token endpoint, administrative and
// delegated API, public routes, and the control calls under /_simulator/. It
// is an [http.Handler] without goroutines of its own; any number of servers
// may serve it.
type MyDataHelps struct {
	account   string
	keys      atomic.Pointer[[]*rsa.PublicKey]
	projectID string
	clock     func() time.Time
	fileKey   []byte // signs pre-signed URLs

	settings *control.Settings[Settings]

	people     registry
	tokens     control.Tokens
	assertions control.Expiring[struct{}] // by jti
	quotas     quotas
	records    control.Records[Record, Counts]
	stored     participantStore
	events     releaseCounter
}

// NewMyDataHelps returns a simulator with the default [Settings].
func NewMyDataHelps(o Options) *MyDataHelps {
	m := &MyDataHelps{
		account:   o.Account,
		projectID: strings.ToLower(o.ProjectID),
		clock:     o.Clock,
		fileKey:   make([]byte, 32),
	}
	if m.clock == nil {
		m.clock = time.Now
	}
	_, _ = rand.Read(m.fileKey) // never fails, says crypto/rand
	m.SetKeys(o.Keys...)
	m.settings = control.NewSettings(defaultSettings(), Settings.clone, (*Settings).validate)
	for _, p := range o.Participants {
		m.AddParticipant(p)
	}
	return m
}

// SetKeys replaces the account's registered public keys.
func (m *MyDataHelps) SetKeys(keys ...*rsa.PublicKey) { m.keys.Store(&keys) }

// AddParticipant adds a participant, or replaces the one with the same ID. An
// empty ID is derived from the identifier.
func (m *MyDataHelps) AddParticipant(p Participant) { m.people.put(p, m.clock()) }

// UpdateParticipant changes a participant; f must not keep its argument. It
// does nothing if there is no participant with that ID.
func (m *MyDataHelps) UpdateParticipant(id string, f func(*Participant)) { m.people.update(id, f) }

// Participant returns the participant with that ID.
func (m *MyDataHelps) Participant(id string) (Participant, bool) {
	p := m.people.byID(id)
	if p == nil {
		return Participant{}, false
	}
	return p.clone(), true
}

// Participants returns the participants, oldest first.
func (m *MyDataHelps) Participants() []Participant { return m.people.all() }

// Revoke makes the API refuse the tokens minted so far for one participant,
// or for all of them if the ID is empty.
func (m *MyDataHelps) Revoke(participantID string) {
	m.tokens.Revoke(func(t *control.Token) bool {
		return t.Kind == kindParticipant && (participantID == "" || t.Owner == strings.ToLower(participantID))
	})
}

// RevokeService makes the API and the token endpoint refuse the service
// tokens minted so far.
func (m *MyDataHelps) RevokeService() {
	m.tokens.Revoke(func(t *control.Token) bool { return t.Kind == kindService })
}

// Release lets every open stream of Simulator.Events send one more event.
func (m *MyDataHelps) Release() { m.events.release() }

// Records returns what is remembered of the latest requests, oldest first.
func (m *MyDataHelps) Records() []Record { return m.records.After(0) }

// Counts returns the totals since the start or the last [MyDataHelps.Reset].
func (m *MyDataHelps) Counts() Counts { return m.records.Counts() }

// Reset forgets records and counts. Participants, tokens, quotas and settings
// stay as they are.
func (m *MyDataHelps) Reset() { m.records.Reset(resetCounts) }

func (m *MyDataHelps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := splitPath(r.URL)
	if len(segments) > 0 && segments[0] == "_simulator" {
		m.control(w, r, segments[1:])
		return
	}
	// Pages of any origin may call the platform with a token, else its SDK
	// would be of no use outside of it.
	w.Header().Set("Access-Control-Allow-Origin", "*")
	// The store of files, another host on the platform, has its own rules.
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" && areaOf(segments) != areaFiles {
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c := m.begin(w, r, segments)
	defer c.end()
	if !c.outage() {
		return
	}
	switch c.area {
	case areaToken:
		c.serveToken()
	case areaAdmin:
		c.serveAdmin()
	case areaDelegated:
		c.serveDelegated()
	case areaPublic:
		c.dispatch(publicRoutes)
	case areaFiles:
		c.serveFiles()
	case areaPages:
		c.dispatch(pageRoutes)
	default:
		c.fail(http.StatusNotFound, "no such resource")
	}
}
