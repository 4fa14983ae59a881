// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/flight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// freshFor is how long a grant is used as it was read. Then it is read
	// again: another machine or an operator may have changed it.
	freshFor = 30 * time.Second
	// keptFor is how long it goes on if it cannot be read again.
	keptFor = time.Hour
	// asideEvery is how often another person may be put aside.
	asideEvery = 20 * time.Second
	// maxMembers is how many grants are in memory.
	maxMembers = 100_000
)

// secret is what a grant holds.
type secret struct {
	Key          string   `json:"key"`
	ConnectionID string   `json:"connection_id"`
	MydexID      string   `json:"mydexid,omitempty"`
	Datasets     []string `json:"datasets,omitempty"` // that may be read
}

// held is somebody's grant in memory.
type held struct {
	member  Member
	mydexID string
	reads   []string
	grant   *grants.Grant
	read    time.Time // when it was
	asked   time.Time // when it was to be read again
}

// members are the grants in memory. They outlive reloads.
type members struct {
	store   *memory.Store[delegation.Person, *held]
	flights *flight.Group[delegation.Person, *held]

	// suspensions are paced: a platform that for a moment refuses everybody must
	// not have everybody asked to consent anew.
	suspensions *rate.Limiter
	// aside are who was put aside a moment ago: of one person it counts once.
	aside *memory.Store[delegation.Person, struct{}]
	// tried are whose grants were tried again a moment ago.
	tried *memory.Store[delegation.Person, struct{}]

	mu    sync.Mutex
	seed  maphash.Seed
	drops [256]uint64 // how often something was dropped of some people, by the hash of their names
}

func newMembers() *members {
	return &members{
		store: memory.New[delegation.Person, *held](maxMembers),
		flights: flight.New[delegation.Person, *held](flight.Limits{
			Timeout: 2 * grants.DefaultTimeout, Waiting: 10_000, PerOwner: 100,
		}),
		seed:        maphash.MakeSeed(),
		suspensions: rate.NewLimiter(rate.Every(asideEvery), 3),
		aside:       memory.New[delegation.Person, struct{}](maxMembers / 10),
		tried:       memory.New[delegation.Person, struct{}](maxMembers / 10),
	}
}

// mayPutAside tells whether somebody's grant may be suspended now.
func (m *members) mayPutAside(who delegation.Person) bool {
	if _, ok := m.aside.Get(who, memberKey(who), time.Now()); ok {
		return true
	}
	if !m.suspensions.Allow() {
		return false
	}
	m.aside.Set(who, memberKey(who), struct{}{}, asideEvery, false)
	return true
}

// mayTry tells whether somebody's grant may be tried again now. It is called by
// one at a time of each person.
func (m *members) mayTry(who delegation.Person) bool {
	if _, ok := m.tried.Get(who, memberKey(who), time.Now()); ok {
		return false
	}
	m.tried.Set(who, memberKey(who), struct{}{}, retryAfter, false)
	return true
}

// Close implements [io.Closer].
func (m *members) Close() error { return nil }

// forget drops who is selected.
func (m *members) forget(s delegation.Selection) {
	if s.Participant == "" && s.Realm != "" && s.Subject != "" {
		m.drop(delegation.Person{Realm: s.Realm, Subject: s.Subject})
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.drops {
		m.drops[i]++
	}
	m.store.DeleteFunc(func(h *held) bool { return s.Covers(h.grant.Person, h.member.UID) })
}

// drop drops one person, who has one value.
func (m *members) drop(who delegation.Person) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drops[m.some(who)]++
	m.store.Delete(who, memberKey(who))
}

func (m *members) some(who delegation.Person) uint8 {
	return uint8(maphash.Comparable(m.seed, who)) //nolint:gosec // a part of it is enough
}

// dropped tells how often somebody, or one of some others, was dropped.
func (m *members) dropped(who delegation.Person) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drops[m.some(who)]
}

// keep keeps what was read since. If something was dropped meanwhile, it may be
// what was read, and is not kept.
func (m *members) keep(who delegation.Person, h *held, since uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if life := time.Until(h.read.Add(keptFor)); m.drops[m.some(who)] == since && life > 0 {
		m.store.Set(who, memberKey(who), h, life, false)
	}
}

func (p *Provider) owner(who delegation.Person) grants.Owner {
	return grants.Owner{Provider: p.host.Name(), Person: who}
}

// memberKey names the one value that a person has in memory.
// With the realm's length, so that no two people's are ever the same, whatever
// their names hold.
func memberKey(who delegation.Person) string {
	return strconv.Itoa(len(who.Realm)) + ":" + who.Realm + who.Subject
}

// member returns whose request it is: consent_required if they have not
// consented, or the platform does not accept it any more. What was dropped
// while it was read is not used.
func (p *Provider) member(ctx context.Context, who delegation.Person) (h *held, err error) {
	m := p.members
	for range 3 {
		since := m.dropped(who)
		if h, err = p.find(ctx, who, since); m.dropped(who) == since {
			return h, err
		}
	}
	if err == nil {
		err = delegation.Refuse(delegation.GrantsUnavailable, errors.New("it changes all the time"))
	}
	return nil, err
}

// find returns what is in memory, or reads it.
func (p *Provider) find(ctx context.Context, who delegation.Person, since uint64) (*held, error) {
	m := p.members
	known, ok := m.store.Get(who, memberKey(who), time.Now())
	ok = ok && known.grant.Person == who
	if ok && time.Since(known.asked) < freshFor {
		return known, nil
	}
	if ok {
		// The others go on with what there is, while this one reads.
		again := *known
		again.asked = time.Now()
		m.keep(who, &again, since)
	}
	// Who comes after a drop does not join a flight from before.
	key := strconv.FormatUint(since, 36) + " " + memberKey(who)
	h, err := m.flights.Do(ctx, key, who, func(ctx context.Context) (*held, error) { return p.read(ctx, who, since) })
	if ok && err != nil && delegation.AsRefusal(err).Code == delegation.GrantsUnavailable {
		return known, nil
	}
	return h, err
}

// read reads somebody's grant and keeps it in memory.
func (p *Provider) read(ctx context.Context, who delegation.Person, since uint64) (*held, error) {
	store, err := p.opener.Store(ctx)
	if err != nil {
		return nil, refuse(err)
	}
	g, err := store.Find(ctx, p.owner(who))
	if err == nil && g.State != grants.Active {
		g, err = p.resume(ctx, store, g)
	}
	if errors.Is(err, grants.ErrNone) || errors.Is(err, grants.ErrConflict) {
		p.members.store.Delete(who, memberKey(who))
	}
	if err != nil {
		return nil, refuse(err)
	}
	h, err := hold(g)
	if err != nil {
		return nil, delegation.Refuse(delegation.GrantsUnavailable, err)
	}
	p.members.keep(who, h, since)
	return h, nil
}

func hold(g *grants.Grant) (*held, error) {
	var s secret
	if json.Unmarshal([]byte(g.Secret.Reveal()), &s) != nil {
		return nil, errors.New("a grant holds what this provider has not written")
	}
	now := time.Now()
	h := &held{
		member:  Member{UID: g.Account, ConnectionID: s.ConnectionID, Key: delegation.NewSecret(s.Key)},
		mydexID: s.MydexID, reads: s.Datasets, grant: g, read: now, asked: now,
	}
	return h, h.member.Check()
}

var errNotConnected = errors.New("the user has not connected, or what they consented to is no longer accepted")

// refuse tells what the store's errors mean for a request.
func refuse(err error) *delegation.Refusal {
	switch {
	case errors.Is(err, grants.ErrNone):
		return delegation.Refuse(delegation.ConsentRequired, errNotConnected)
	case errors.Is(err, grants.ErrOther):
		return delegation.Refuse(delegation.ConsentRequired, delegation.ErrElsewhere)
	case errors.Is(err, grants.ErrConflict), errors.Is(err, grants.ErrConnected):
		return delegation.Refuse(delegation.AccountConflict, err)
	default:
		if r, ok := errors.AsType[*delegation.Refusal](err); ok {
			return r
		}
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
}
