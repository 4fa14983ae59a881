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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

const (
	// freshFor is how long a grant is used as it was read. Then it is read again:
	// another machine or an operator may have changed it.
	freshFor = 30 * time.Second
	// keptFor is how long a grant is used if the database cannot be read again.
	keptFor = time.Hour
	// suspendEvery is how often another person's grant may be suspended.
	suspendEvery = 20 * time.Second
	// maxCachedGrants is how many grants are in memory.
	maxCachedGrants = 100_000
)

// storedSecret is the JSON of a grant's Secret.
type storedSecret struct {
	Key          string   `json:"key"`
	ConnectionID string   `json:"connection_id"`
	MydexID      string   `json:"mydexid,omitempty"`
	Datasets     []string `json:"datasets,omitempty"` // that may be read
}

// cachedGrant is a person's grant in memory, decoded. It is not changed.
type cachedGrant struct {
	member      Member
	mydexID     string
	readable    []string // datasets
	grant       *grants.Grant
	readAt      time.Time // when it was read
	refreshedAt time.Time // when it was read, or was to be read again
}

// grantCache has the grants in memory, and paces suspensions and probes. It
// outlives reloads. Safe for concurrent use.
type grantCache struct {
	store   *lru.Cache[delegation.Person, *cachedGrant]
	flights *singleflight.Group[delegation.Person, *cachedGrant]

	// suspensions are paced: a platform that for a moment refuses everybody must
	// not have everybody asked to consent anew.
	suspensions *rate.Limiter
	// suspended are the people whose grants were suspended within suspendEvery: of
	// one person it counts once.
	suspended *lru.Cache[delegation.Person, struct{}]
	// probed are the people whose grants were probed within probeRetryAfter.
	probed *lru.Cache[delegation.Person, struct{}]

	mu   sync.Mutex
	seed maphash.Seed
	// dropCounts count how often something was dropped of the people in a shard.
	dropCounts [256]uint64
}

func newGrantCache() *grantCache {
	return &grantCache{
		store: lru.New[delegation.Person, *cachedGrant](maxCachedGrants),
		flights: singleflight.New[delegation.Person, *cachedGrant](singleflight.Limits{
			Timeout: 2 * grants.DefaultTimeout, Waiting: 10_000, PerOwner: 100,
		}),
		seed:        maphash.MakeSeed(),
		suspensions: rate.NewLimiter(rate.Every(suspendEvery), 3),
		suspended:   lru.New[delegation.Person, struct{}](maxCachedGrants / 10),
		probed:      lru.New[delegation.Person, struct{}](maxCachedGrants / 10),
	}
}

// maySuspend tells whether a person's grant may be suspended now: three at once,
// then one in 20 s.
func (c *grantCache) maySuspend(person delegation.Person) bool {
	if _, ok := c.suspended.Get(person, cacheKey(person), time.Now()); ok {
		return true
	}
	if !c.suspensions.Allow() {
		return false
	}
	c.suspended.Set(person, cacheKey(person), struct{}{}, suspendEvery, false)
	return true
}

// mayProbe tells whether a person's suspended grant may be probed now. It is called
// by one at a time for each person.
func (c *grantCache) mayProbe(person delegation.Person) bool {
	if _, ok := c.probed.Get(person, cacheKey(person), time.Now()); ok {
		return false
	}
	c.probed.Set(person, cacheKey(person), struct{}{}, probeRetryAfter, false)
	return true
}

// Close implements [io.Closer].
func (c *grantCache) Close() error { return nil }

// dropSelected drops the grants of a selection.
func (c *grantCache) dropSelected(s delegation.Selection) {
	if s.Participant == "" && s.Realm != "" && s.Subject != "" {
		c.drop(delegation.Person{Realm: s.Realm, Subject: s.Subject})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.dropCounts {
		c.dropCounts[i]++
	}
	c.store.DeleteFunc(func(cached *cachedGrant) bool { return s.Covers(cached.grant.Person, cached.member.UID) })
}

// drop drops the grant of one person.
func (c *grantCache) drop(person delegation.Person) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropCounts[c.shard(person)]++
	c.store.Delete(person, cacheKey(person))
}

// shard is by which drops of a person are counted.
func (c *grantCache) shard(person delegation.Person) uint8 {
	return uint8(maphash.Comparable(c.seed, person)) //nolint:gosec // a part of it is enough
}

// dropCount tells how often a person's grant, or one of the same shard, was
// dropped.
func (c *grantCache) dropCount(person delegation.Person) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropCounts[c.shard(person)]
}

// putUnlessDropped keeps a grant that was read when the dropCount was since. After
// a drop meanwhile the grant may be an older one, and is not kept.
func (c *grantCache) putUnlessDropped(person delegation.Person, cached *cachedGrant, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if life := time.Until(cached.readAt.Add(keptFor)); c.dropCounts[c.shard(person)] == since && life > 0 {
		c.store.Set(person, cacheKey(person), cached, life, false)
	}
}

// owner returns the owner of a person's grant.
func (p *Provider) owner(person delegation.Person) grants.Owner {
	return grants.Owner{Provider: p.host.Name(), Person: person}
}

// cacheKey names the one value that a person has in memory. The realm's length is
// part of it, so that no two people's are ever the same, whatever their names hold.
func cacheKey(person delegation.Person) string {
	return strconv.Itoa(len(person.Realm)) + ":" + person.Realm + person.Subject
}

// cachedOrRead returns a person's grant. The error is a refusal: consent_required
// if none is in use, or the platform does not accept it any more. A grant that was
// dropped while it was read is not used.
func (p *Provider) cachedOrRead(ctx context.Context, person delegation.Person) (cached *cachedGrant, err error) {
	c := p.grantCache
	for range 3 {
		since := c.dropCount(person)
		if cached, err = p.lookUpGrant(ctx, person, since); c.dropCount(person) == since {
			return cached, err
		}
	}
	if err == nil {
		err = delegation.Refuse(delegation.GrantsUnavailable, errors.New("the grant changes all the time"))
	}
	return nil, err
}

// lookUpGrant returns the grant in memory, or reads it.
func (p *Provider) lookUpGrant(ctx context.Context, person delegation.Person, since uint64) (*cachedGrant, error) {
	c := p.grantCache
	known, ok := c.store.Get(person, cacheKey(person), time.Now())
	ok = ok && known.grant.Person == person
	if ok && time.Since(known.refreshedAt) < freshFor {
		return known, nil
	}
	if ok {
		// The others go on with this grant, while one call reads it again.
		again := *known
		again.refreshedAt = time.Now()
		c.putUnlessDropped(person, &again, since)
	}
	// Calls after a drop do not join a flight from before it.
	key := strconv.FormatUint(since, 36) + " " + cacheKey(person)
	cached, err := c.flights.Do(ctx, key, person, func(ctx context.Context) (*cachedGrant, error) { return p.loadGrant(ctx, person, since) })
	if ok && err != nil && delegation.AsRefusal(err).Code == delegation.GrantsUnavailable {
		return known, nil
	}
	return cached, err
}

// loadGrant reads a person's grant, probes it if it is suspended, and keeps it in
// memory.
func (p *Provider) loadGrant(ctx context.Context, person delegation.Person, since uint64) (*cachedGrant, error) {
	store, err := p.lazyStore.Store(ctx)
	if err != nil {
		return nil, refusalOf(err)
	}
	g, err := store.Find(ctx, p.owner(person))
	if err == nil && g.State != grants.Active {
		g, err = p.probeSuspended(ctx, store, g)
	}
	if errors.Is(err, grants.ErrNotFound) || errors.Is(err, grants.ErrConflict) {
		p.grantCache.store.Delete(person, cacheKey(person))
	}
	if err != nil {
		return nil, refusalOf(err)
	}
	cached, err := decodeGrant(g)
	if err != nil {
		return nil, delegation.Refuse(delegation.GrantsUnavailable, err)
	}
	p.grantCache.putUnlessDropped(person, cached, since)
	return cached, nil
}

// decodeGrant decodes a grant's Secret. The error names no value.
func decodeGrant(g *grants.Grant) (*cachedGrant, error) {
	var s storedSecret
	if json.Unmarshal([]byte(g.Secret.Reveal()), &s) != nil {
		return nil, errors.New("a grant holds what this provider has not written")
	}
	now := time.Now()
	cached := &cachedGrant{
		member:  Member{UID: g.Account, ConnectionID: s.ConnectionID, Key: delegation.NewSecret(s.Key)},
		mydexID: s.MydexID, readable: s.Datasets, grant: g, readAt: now, refreshedAt: now,
	}
	return cached, cached.member.Check()
}

var errNoConsent = errors.New("the user has not connected, or what they consented to is no longer accepted")

// refusalOf returns the refusal for an error of the store. A refusal is returned as
// it is.
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
