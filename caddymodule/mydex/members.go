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
	// suspendEvery is how often another person may be put aside.
	suspendEvery = 20 * time.Second
	// maxCachedGrants is how many grants are in memory.
	maxCachedGrants = 100_000
)

// storedSecret is what a grant holds.
type storedSecret struct {
	Key          string   `json:"key"`
	ConnectionID string   `json:"connection_id"`
	MydexID      string   `json:"mydexid,omitempty"`
	Datasets     []string `json:"datasets,omitempty"` // that may be read
}

// cachedGrant is somebody's grant in memory.
type cachedGrant struct {
	member      Member
	mydexID     string
	readable    []string
	grant       *grants.Grant
	readAt      time.Time // when it was
	refreshedAt time.Time // when it was to be read again
}

// grantCache are the grants in memory. They outlive reloads.
type grantCache struct {
	store   *memory.Cache[delegation.Person, *cachedGrant]
	flights *flight.Group[delegation.Person, *cachedGrant]

	// suspensions are paced: a platform that for a moment refuses everybody must
	// not have everybody asked to consent anew.
	suspensions *rate.Limiter
	// suspended are who was put aside a moment ago: of one person it counts once.
	suspended *memory.Cache[delegation.Person, struct{}]
	// probed are whose grants were tried again a moment ago.
	probed *memory.Cache[delegation.Person, struct{}]

	mu         sync.Mutex
	seed       maphash.Seed
	dropCounts [256]uint64 // how often something was dropped of some people, by the hash of their names
}

func newGrantCache() *grantCache {
	return &grantCache{
		store: memory.New[delegation.Person, *cachedGrant](maxCachedGrants),
		flights: flight.New[delegation.Person, *cachedGrant](flight.Limits{
			Timeout: 2 * grants.DefaultTimeout, Waiting: 10_000, PerOwner: 100,
		}),
		seed:        maphash.MakeSeed(),
		suspensions: rate.NewLimiter(rate.Every(suspendEvery), 3),
		suspended:   memory.New[delegation.Person, struct{}](maxCachedGrants / 10),
		probed:      memory.New[delegation.Person, struct{}](maxCachedGrants / 10),
	}
}

// maySuspend tells whether somebody's grant may be suspended now.
func (m *grantCache) maySuspend(who delegation.Person) bool {
	if _, ok := m.suspended.Get(who, cacheKey(who), time.Now()); ok {
		return true
	}
	if !m.suspensions.Allow() {
		return false
	}
	m.suspended.Set(who, cacheKey(who), struct{}{}, suspendEvery, false)
	return true
}

// mayProbe tells whether somebody's grant may be tried again now. It is called by
// one at a time of each person.
func (m *grantCache) mayProbe(who delegation.Person) bool {
	if _, ok := m.probed.Get(who, cacheKey(who), time.Now()); ok {
		return false
	}
	m.probed.Set(who, cacheKey(who), struct{}{}, probeRetryAfter, false)
	return true
}

// Close implements [io.Closer].
func (m *grantCache) Close() error { return nil }

// dropSelected drops who is selected.
func (m *grantCache) dropSelected(s delegation.Selection) {
	if s.Participant == "" && s.Realm != "" && s.Subject != "" {
		m.drop(delegation.Person{Realm: s.Realm, Subject: s.Subject})
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.dropCounts {
		m.dropCounts[i]++
	}
	m.store.DeleteFunc(func(h *cachedGrant) bool { return s.Covers(h.grant.Person, h.member.UID) })
}

// drop drops one person, who has one value.
func (m *grantCache) drop(who delegation.Person) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropCounts[m.shard(who)]++
	m.store.Delete(who, cacheKey(who))
}

func (m *grantCache) shard(who delegation.Person) uint8 {
	return uint8(maphash.Comparable(m.seed, who)) //nolint:gosec // a part of it is enough
}

// dropCount tells how often somebody, or one of some others, was dropped.
func (m *grantCache) dropCount(who delegation.Person) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropCounts[m.shard(who)]
}

// putUnlessDropped keeps what was read since. If something was dropped meanwhile, it may be
// what was read, and is not kept.
func (m *grantCache) putUnlessDropped(who delegation.Person, h *cachedGrant, since uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if life := time.Until(h.readAt.Add(keptFor)); m.dropCounts[m.shard(who)] == since && life > 0 {
		m.store.Set(who, cacheKey(who), h, life, false)
	}
}

func (p *Provider) owner(who delegation.Person) grants.Owner {
	return grants.Owner{Provider: p.host.Name(), Person: who}
}

// cacheKey names the one value that a person has in memory.
// With the realm's length, so that no two people's are ever the same, whatever
// their names hold.
func cacheKey(who delegation.Person) string {
	return strconv.Itoa(len(who.Realm)) + ":" + who.Realm + who.Subject
}

// cachedOrRead returns whose request it is: consent_required if they have not
// consented, or the platform does not accept it any more. What was dropped
// while it was read is not used.
func (p *Provider) cachedOrRead(ctx context.Context, who delegation.Person) (h *cachedGrant, err error) {
	m := p.grantCache
	for range 3 {
		since := m.dropCount(who)
		if h, err = p.lookUpGrant(ctx, who, since); m.dropCount(who) == since {
			return h, err
		}
	}
	if err == nil {
		err = delegation.Refuse(delegation.GrantsUnavailable, errors.New("it changes all the time"))
	}
	return nil, err
}

// lookUpGrant returns what is in memory, or reads it.
func (p *Provider) lookUpGrant(ctx context.Context, who delegation.Person, since uint64) (*cachedGrant, error) {
	m := p.grantCache
	known, ok := m.store.Get(who, cacheKey(who), time.Now())
	ok = ok && known.grant.Person == who
	if ok && time.Since(known.refreshedAt) < freshFor {
		return known, nil
	}
	if ok {
		// The others go on with what there is, while this one reads.
		again := *known
		again.refreshedAt = time.Now()
		m.putUnlessDropped(who, &again, since)
	}
	// Who comes after a drop does not join a flight from before.
	key := strconv.FormatUint(since, 36) + " " + cacheKey(who)
	h, err := m.flights.Do(ctx, key, who, func(ctx context.Context) (*cachedGrant, error) { return p.loadGrant(ctx, who, since) })
	if ok && err != nil && delegation.AsRefusal(err).Code == delegation.GrantsUnavailable {
		return known, nil
	}
	return h, err
}

// loadGrant reads somebody's grant and keeps it in memory.
func (p *Provider) loadGrant(ctx context.Context, who delegation.Person, since uint64) (*cachedGrant, error) {
	store, err := p.lazyStore.Store(ctx)
	if err != nil {
		return nil, refusalOf(err)
	}
	g, err := store.Find(ctx, p.owner(who))
	if err == nil && g.State != grants.Active {
		g, err = p.probeSuspended(ctx, store, g)
	}
	if errors.Is(err, grants.ErrNotFound) || errors.Is(err, grants.ErrConflict) {
		p.grantCache.store.Delete(who, cacheKey(who))
	}
	if err != nil {
		return nil, refusalOf(err)
	}
	h, err := decodeGrant(g)
	if err != nil {
		return nil, delegation.Refuse(delegation.GrantsUnavailable, err)
	}
	p.grantCache.putUnlessDropped(who, h, since)
	return h, nil
}

func decodeGrant(g *grants.Grant) (*cachedGrant, error) {
	var s storedSecret
	if json.Unmarshal([]byte(g.Secret.Reveal()), &s) != nil {
		return nil, errors.New("a grant holds what this provider has not written")
	}
	now := time.Now()
	h := &cachedGrant{
		member:  Member{UID: g.Account, ConnectionID: s.ConnectionID, Key: delegation.NewSecret(s.Key)},
		mydexID: s.MydexID, readable: s.Datasets, grant: g, readAt: now, refreshedAt: now,
	}
	return h, h.member.Check()
}

var errNoConsent = errors.New("the user has not connected, or what they consented to is no longer accepted")

// refusalOf tells what the store's errors mean for a request.
func refusalOf(err error) *delegation.Refusal {
	switch {
	case errors.Is(err, grants.ErrNotFound):
		return delegation.Refuse(delegation.ConsentRequired, errNoConsent)
	case errors.Is(err, grants.ErrForeignFlow):
		return delegation.Refuse(delegation.ConsentRequired, delegation.ErrForeignFlow)
	case errors.Is(err, grants.ErrConflict), errors.Is(err, grants.ErrOtherAccount):
		return delegation.Refuse(delegation.AccountConflict, err)
	default:
		if r, ok := errors.AsType[*delegation.Refusal](err); ok {
			return r
		}
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
}
