// SPDX-License-Identifier: Apache-2.0

// Package lru is a cache with a bound and with times to live: go-cache in
// shards, without its janitor. A full cache evicts the least recently used of
// a sample.
package lru

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"sync/atomic"
	"time"
	"weak"

	"github.com/patrickmn/go-cache"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

const (
	maxShards = 64

	// perShard is how many values make another shard worthwhile.
	perShard = 256

	// evictShare of a full shard (1/20) makes room at once, chosen from a
	// sample four times as large: choosing costs a copy of the shard's index,
	// so it has to be worth it.
	evictShare = 20
	sampleSize = 4

	// sweepInterval is how long an expired value stays in memory at most.
	sweepInterval = time.Minute

	// useResolution is how exactly the last use is known. Every use would
	// otherwise write to memory that all cores read.
	useResolution = 100 * time.Millisecond
)

// Cache keeps about limit values of type V, until they expire or have to make
// room. All values of one owner are in one shard, so that they are found
// without looking at everybody's. Owners share shards, so a key has to name its
// owner too. What has expired leaves the memory within a minute: tokens, and whose
// they are, are not kept for longer than the documentation says. A Cache needs no
// closing and is safe for concurrent use.
//
// Why not maypok86/otter: go-cache is what this project was asked to use. What
// is added to it here (limit, eviction, deletion by owner) is 150 lines, and
// otter finds an owner's values only by looking at all.
type Cache[O comparable, V any] struct {
	seed       maphash.Seed
	shards     []shard
	limit      atomic.Int64
	shardLimit atomic.Int64 // the limit divided by the number of shards
	sweeping   atomic.Bool  // a sweep is scheduled
}

// shard is a part of the cache with a lock of its own.
type shard struct{ items *cache.Cache }

// item is a value in go-cache.
type item[V any] struct {
	value    V
	lastUsed atomic.Int64 // in Unix nanoseconds; of an unused value, when it was set
	pinned   bool
}

// evictable returns the last use of the value, and whether it may be evicted.
func (it *item[V]) evictable() (lastUsed int64, ok bool) { return it.lastUsed.Load(), !it.pinned }

// New returns an empty cache for limit values, at least one.
func New[O comparable, V any](limit int) *Cache[O, V] {
	n := min(max(limit/perShard, 1), maxShards)
	s := &Cache[O, V]{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	s.setLimit(limit)
	for i := range s.shards {
		// No janitor: its goroutine is stopped by a finalizer only, and one
		// sweep of a million values held the lock for 14 ms.
		s.shards[i].items = cache.New(cache.NoExpiration, 0)
	}
	return s
}

func (s *Cache[O, V]) setLimit(limit int) {
	s.limit.Store(int64(limit))
	s.shardLimit.Store(int64(max(limit/len(s.shards), 1)))
}

// Limit sets another limit. Values beyond it are evicted at once.
func (s *Cache[O, V]) Limit(limit int) {
	if int64(limit) == s.limit.Load() {
		return
	}
	s.setLimit(limit)
	for i := range s.shards {
		sh := &s.shards[i]
		if over := sh.items.ItemCount() - int(s.shardLimit.Load()); over > 0 {
			sh.items.DeleteExpired()
			sh.evict(over, math.MaxInt)
		}
	}
}

func (s *Cache[O, V]) shard(owner O) *shard {
	if len(s.shards) == 1 {
		return &s.shards[0]
	}
	return &s.shards[maphash.Comparable(s.seed, owner)%uint64(len(s.shards))]
}

// Get returns the value of a key that has not expired, and records its use.
func (s *Cache[O, V]) Get(owner O, key string, now time.Time) (value V, ok bool) {
	v, ok := s.shard(owner).items.Get(key)
	if !ok {
		return value, false
	}
	it := v.(*item[V])
	if at := now.UnixNano(); at-it.lastUsed.Load() > int64(useResolution) {
		it.lastUsed.Store(at)
	}
	return it.value, true
}

// Peek is [Cache.Get] without recording a use.
func (s *Cache[O, V]) Peek(owner O, key string) (value V, ok bool) {
	v, ok := s.shard(owner).items.Get(key)
	if !ok {
		return value, false
	}
	return v.(*item[V]).value, true
}

// Set keeps a value for the given life; with none, the key is deleted. A pinned
// value is never evicted.
func (s *Cache[O, V]) Set(owner O, key string, value V, life time.Duration, pinned bool) {
	if life <= 0 { // which go-cache would take for "for ever"
		s.Delete(owner, key)
		return
	}
	sh := s.shard(owner)
	if s.full(sh) {
		if _, there := sh.items.Get(key); !there {
			s.makeRoom(sh)
		}
	}
	it := &item[V]{value: value, pinned: pinned}
	it.lastUsed.Store(time.Now().UnixNano())
	sh.items.Set(key, it, life)
	s.scheduleSweep()
}

// scheduleSweep has expired values deleted once in sweepInterval, as long as there
// are values. The timer does not keep a cache alive that nobody uses any more, as
// after a reload.
func (s *Cache[O, V]) scheduleSweep() {
	if s.sweeping.Load() || !s.sweeping.CompareAndSwap(false, true) {
		return
	}
	ref := weak.Make(s)
	background.After(sweepInterval, "sweeping a cache", func() {
		s := ref.Value()
		if s == nil {
			return
		}
		s.sweeping.Store(false)
		for i := range s.shards {
			s.shards[i].items.DeleteExpired()
		}
		if s.Len() > 0 {
			s.scheduleSweep()
		}
	})
}

// full reports whether a shard has to make room. Shards do not fill evenly: one
// may have up to twice its part as long as the others have less.
func (s *Cache[O, V]) full(sh *shard) bool {
	n, limit := sh.items.ItemCount(), int(s.shardLimit.Load())
	return n >= limit && (n >= 2*limit || s.Len() >= int(s.limit.Load()))
}

func (s *Cache[O, V]) makeRoom(sh *shard) {
	sh.items.DeleteExpired()
	if !s.full(sh) {
		return
	}
	n := max(int(s.shardLimit.Load())/evictShare, 1)
	sh.evict(n, n*sampleSize)
}

// evict deletes n values, the least recently used of a sample.
func (sh *shard) evict(n, size int) {
	type candidate struct {
		key      string
		lastUsed int64
	}
	var sample []candidate
	for key, v := range sh.items.Items() { // in random order
		if used, ok := v.Object.(interface{ evictable() (int64, bool) }).evictable(); ok {
			sample = append(sample, candidate{key, used})
		}
		if len(sample) >= size {
			break
		}
	}
	slices.SortFunc(sample, func(a, b candidate) int { return cmp.Compare(a.lastUsed, b.lastUsed) })
	for _, c := range sample[:min(n, len(sample))] {
		sh.items.Delete(c.key)
	}
}

// Delete deletes the value of a key.
func (s *Cache[O, V]) Delete(owner O, key string) { s.shard(owner).items.Delete(key) }

// DeleteOwned deletes an owner's values for which f is true. f is also called
// for the values of others in the same shard, and has to refuse those.
func (s *Cache[O, V]) DeleteOwned(owner O, f func(V) bool) { s.shard(owner).deleteFunc(valueFunc(f)) }

// DeleteFunc deletes all values for which f is true.
func (s *Cache[O, V]) DeleteFunc(f func(V) bool) {
	for i := range s.shards {
		s.shards[i].deleteFunc(valueFunc(f))
	}
}

func valueFunc[V any](f func(V) bool) func(any) bool {
	return func(v any) bool { return f(v.(*item[V]).value) }
}

func (sh *shard) deleteFunc(f func(any) bool) {
	for key, v := range sh.items.Items() {
		if f(v.Object) {
			sh.items.Delete(key)
		}
	}
}

// CountFunc returns the number of values for which f is true.
func (s *Cache[O, V]) CountFunc(f func(V) bool) (n int) {
	counts := valueFunc(f)
	for i := range s.shards {
		for _, v := range s.shards[i].items.Items() {
			if counts(v.Object) {
				n++
			}
		}
	}
	return n
}

// Len returns the number of values, including those that have expired and are
// not swept yet.
func (s *Cache[O, V]) Len() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].items.ItemCount()
	}
	return n
}
