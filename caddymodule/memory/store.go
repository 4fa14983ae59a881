// SPDX-License-Identifier: Apache-2.0

// Package memory is a cache with a bound: go-cache in shards, without its
// janitor, that drops the least recently used of a sample when it is full.
package memory

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/patrickmn/go-cache"
)

const (
	maxShards = 64

	// perShard is how many values make another shard worth while.
	perShard = 256

	// evictShare of a full shard (1/20) makes room at once, chosen from a
	// sample four times as large: looking for what to drop costs a copy of the
	// shard's index, so it has to be worth it.
	evictShare = 20
	sampleSize = 4

	// SweepInterval is how often a shard is looked through for what has expired.
	SweepInterval = time.Minute

	// useResolution is how exactly the last use is known.
	useResolution = 100 * time.Millisecond
)

// Cache keeps about limit values of type V at most, until they expire. All
// values of one owner are in one shard, so that they are found without looking
// at everybody's. Owners share shards, so a key has to name its owner too. It
// has no goroutine of its own.
type Cache[O comparable, V any] struct {
	seed       maphash.Seed
	shards     []shard
	limit      atomic.Int64
	shardLimit atomic.Int64 // each shard's part of it
}

type shard struct {
	items *cache.Cache
	swept atomic.Int64
}

type item[V any] struct {
	value V
	// When it was used last, in Unix nanoseconds; negative: when it was set, it
	// was not used yet.
	lastUsed atomic.Int64
	pinned   bool
}

// evictable tells whether the value may be dropped to make room, and when it was
// used last.
func (it *item[V]) evictable() (int64, bool) { return it.lastTouched(), !it.pinned }

func (it *item[V]) lastTouched() int64 { return max(it.lastUsed.Load(), -it.lastUsed.Load()) }

// Ref is where a store keeps a value.
type Ref struct {
	shard uint8
	key   string
}

// New returns a store for limit values, at least one.
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

// Limit sets another limit, and drops what is too much.
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

// Ref tells where an owner's value is kept, or would be.
func (s *Cache[O, V]) Ref(owner O, key string) Ref {
	if len(s.shards) == 1 {
		return Ref{0, key}
	}
	return Ref{uint8(maphash.Comparable(s.seed, owner) % uint64(len(s.shards))), key} //nolint:gosec // there are 64 at most
}

func (s *Cache[O, V]) shard(owner O) *shard { return &s.shards[s.Ref(owner, "").shard] }

// Get returns a value that has not expired, and notes its use.
func (s *Cache[O, V]) Get(owner O, key string, now time.Time) (value V, ok bool) {
	v, ok := s.shard(owner).items.Get(key)
	if !ok {
		return value, false
	}
	it := v.(*item[V])
	if at := now.UnixNano(); at-it.lastTouched() > int64(useResolution) {
		it.lastUsed.Store(at)
	}
	return it.value, true
}

// Peek is Get without noting a use. used tells whether the value was used
// since it was set.
func (s *Cache[O, V]) Peek(at Ref) (value V, used, ok bool) {
	v, ok := s.shards[at.shard].items.Get(at.key)
	if !ok {
		return value, false, false
	}
	it := v.(*item[V])
	return it.value, it.lastUsed.Load() > 0, true
}

// Set keeps a value for a time; one without any is dropped. fixed values are
// not dropped to make room.
func (s *Cache[O, V]) Set(owner O, key string, value V, life time.Duration, fixed bool) {
	if life <= 0 { // which go-cache would take for "for ever"
		s.Delete(owner, key)
		return
	}
	sh, now := s.shard(owner), time.Now()
	sh.sweep(now)
	if s.full(sh) {
		if _, there := sh.items.Get(key); !there {
			s.makeRoom(sh)
		}
	}
	it := &item[V]{value: value, pinned: fixed}
	it.lastUsed.Store(-now.UnixNano())
	sh.items.Set(key, it, life)
}

// SweepAround drops what has expired around a place, unless that was done less than
// [SweepEvery] ago.
func (s *Cache[O, V]) SweepAround(around Ref) { s.shards[around.shard].sweep(time.Now()) }

func (sh *shard) sweep(now time.Time) {
	last := sh.swept.Load()
	if now.UnixNano()-last >= int64(SweepInterval) && sh.swept.CompareAndSwap(last, now.UnixNano()) {
		sh.items.DeleteExpired()
	}
}

// full tells whether a shard has to make room. Shards do not fill evenly: one
// may have more than its part as long as the others have less.
func (s *Cache[O, V]) full(sh *shard) bool {
	n, fair := sh.items.ItemCount(), int(s.shardLimit.Load())
	return n >= fair && (n >= 2*fair || s.Len() >= int(s.limit.Load()))
}

func (s *Cache[O, V]) makeRoom(sh *shard) {
	sh.items.DeleteExpired()
	if !s.full(sh) {
		return
	}
	n := max(int(s.shardLimit.Load())/evictShare, 1)
	sh.evict(n, n*sampleSize)
}

// evict drops n values, the least recently used of a sample.
func (sh *shard) evict(n, size int) {
	type candidate struct {
		key  string
		used int64
	}
	var sample []candidate
	for key, v := range sh.items.Items() { // in random order
		if used, ok := v.Object.(interface{ spare() (int64, bool) }).spare(); ok {
			sample = append(sample, candidate{key, used})
		}
		if len(sample) >= size {
			break
		}
	}
	slices.SortFunc(sample, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for _, c := range sample[:min(n, len(sample))] {
		sh.items.Delete(c.key)
	}
}

// Delete drops one value.
func (s *Cache[O, V]) Delete(owner O, key string) { s.shard(owner).items.Delete(key) }

// DeleteOwned drops an owner's values for which f is true.
func (s *Cache[O, V]) DeleteOwned(owner O, f func(V) bool) { s.shard(owner).deleteFunc(valueFunc(f)) }

// DeleteFunc drops all values for which f is true.
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

// CountFunc counts the values for which f is true.
func (s *Cache[O, V]) CountFunc(f func(V) bool) (n int) {
	of := valueFunc(f)
	for i := range s.shards {
		for _, v := range s.shards[i].items.Items() {
			if of(v.Object) {
				n++
			}
		}
	}
	return n
}

// Len counts the values, those included that have expired and are not dropped yet.
func (s *Cache[O, V]) Len() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].items.ItemCount()
	}
	return n
}
