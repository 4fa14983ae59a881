// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

const (
	// freshFor is how long a grant is used as it was read. Then it is read again:
	// another machine or an operator may have changed it.
	freshFor = 30 * time.Second
	// keptFor is how long a grant is used if the database cannot be read again.
	keptFor = time.Hour
	// maxCachedGrants is how many grants are in memory.
	maxCachedGrants = 100_000
)

// cachedGrant is a person's grant in memory. It is not changed.
type cachedGrant struct {
	grant       *delegation.Grant
	ends        time.Time // see [Grant.Ends]
	readAt      time.Time // when reading it began
	refreshedAt time.Time // the same, or when it was to be read again
	notedAt     time.Time // when its use was written to the database; zero if not yet
}

// Cache has the grants of one provider and source that people have in use, up to
// 100 000 of them, and paces suspensions and probes. It outlives reloads, and is of
// one account at the platform and one database: a grant of another must not be
// found in it. Safe for concurrent use.
type Cache struct {
	store   *lru.Cache[delegation.Person, *cachedGrant]
	flights *singleflight.Group[delegation.Person, *delegation.Grant]
	pace    pace
	uses    uses

	redemptions *singleflight.Group[string, *redemption]
	refreshes   *singleflight.Group[delegation.Person, *delegation.Grant]

	// mu is held while something is dropped, or kept that was read.
	mu   sync.Mutex
	seed maphash.Seed
	// dropCounts count how often something was dropped of the people in a shard. They
	// are read without the lock, so each is raised after the grants are gone: who
	// still has one of them has a count of before.
	dropCounts [256]atomic.Uint64
}

// NewCache returns an empty cache.
func NewCache() *Cache {
	return &Cache{
		store: lru.New[delegation.Person, *cachedGrant](maxCachedGrants),
		flights: singleflight.New[delegation.Person, *delegation.Grant](singleflight.Limits{
			Timeout: 2 * DefaultTimeout, Waiting: 10_000, PerOwner: 100,
		}),
		redemptions: newRedemptions(),
		refreshes:   newRefreshes(),
		seed:        maphash.MakeSeed(),
		pace: pace{
			suspensions: rate.NewLimiter(rate.Every(suspendEvery), suspendAtOnce),
			suspended:   lru.New[delegation.Person, struct{}](maxCachedGrants / 10),
			probed:      lru.New[delegation.Person, struct{}](maxCachedGrants / 10),
		},
	}
}

// Close implements [io.Closer]. There is nothing to close.
func (c *Cache) Close() error { return nil }

// get returns a person's grant in memory.
func (c *Cache) get(person delegation.Person) (cached *cachedGrant, ok bool) {
	cached, ok = c.store.Get(person, cacheKey(person), time.Now())
	return cached, ok && cached.grant.Person == person
}

// dropSelected drops the grants of a selection.
func (c *Cache) dropSelected(s delegation.Selection) {
	if s.Participant == "" && s.Realm != "" && s.Subject != "" {
		c.drop(delegation.Person{Realm: s.Realm, Subject: s.Subject})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.DeleteFunc(func(cached *cachedGrant) bool { return cached.coveredBy(s) })
	for i := range c.dropCounts {
		c.dropCounts[i].Add(1)
	}
}

// count returns how many grants of a selection are in memory.
func (c *Cache) count(s delegation.Selection) int {
	return c.store.CountFunc(func(cached *cachedGrant) bool { return cached.coveredBy(s) })
}

// hasEnded reports whether the grant has ended by its date, by this machine's clock: the
// database's decides.
func (cached *cachedGrant) hasEnded() bool {
	return !cached.ends.IsZero() && !time.Now().Before(cached.ends)
}

func (cached *cachedGrant) coveredBy(s delegation.Selection) bool {
	return s.Covers(cached.grant.Person, cached.grant.Account)
}

// drop drops the grant of one person.
func (c *Cache) drop(person delegation.Person) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.Delete(person, cacheKey(person))
	c.dropCounts[c.shard(person)].Add(1)
}

// shard is by which drops of a person are counted.
func (c *Cache) shard(person delegation.Person) uint8 {
	return uint8(maphash.Comparable(c.seed, person)) //nolint:gosec // a part of it is enough
}

// dropCount tells how often a person's grant, or one of the same shard, was
// dropped.
func (c *Cache) dropCount(person delegation.Person) uint64 {
	return c.dropCounts[c.shard(person)].Load()
}

// putUnlessDropped keeps a grant that was read when the dropCount was since. After
// a drop meanwhile, or if another was read later, the grant may be an older one, and
// is not kept.
func (c *Cache) putUnlessDropped(person delegation.Person, cached *cachedGrant, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.get(person); ok && known.readAt.After(cached.readAt) {
		return
	}
	if life := time.Until(cached.readAt.Add(keptFor)); c.dropCount(person) == since && life > 0 {
		c.store.Set(person, cacheKey(person), cached, life, false)
	}
}

// cacheKey names the one value that a person has in memory. The realm's length is
// part of it, so that no two people's are ever the same, whatever their names hold.
func cacheKey(person delegation.Person) string {
	return strconv.Itoa(len(person.Realm)) + ":" + person.Realm + person.Subject
}
