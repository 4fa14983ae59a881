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

	// dropShare of a full shard (1/20) makes room at once, chosen from a
	// sample four times as large: looking for what to drop costs a copy of the
	// shard's index, so it has to be worth it.
	dropShare  = 20
	sampleSize = 4

	// SweepEvery is how often a shard is looked through for what has expired.
	SweepEvery = time.Minute

	// useGrain is how exactly the last use is known.
	useGrain = 100 * time.Millisecond
)

// Store keeps about limit values of type V at most, until they expire. All
// values of one owner are in one shard, so that they are found without looking
// at everybody's. Owners share shards, so a key has to name its owner too. It
// has no goroutine of its own.
type Store[O comparable, V any] struct {
	seed   maphash.Seed
	shards []shard
	limit  atomic.Int64
	fair   atomic.Int64 // each shard's part of it
}

type shard struct {
	items *cache.Cache
	swept atomic.Int64
}

type item[V any] struct {
	value V
	// When it was used last, in Unix nanoseconds; negative: when it was set, it
	// was not used yet.
	used  atomic.Int64
	fixed bool
}

// spare tells whether the value may be dropped to make room, and when it was
// used last.
func (it *item[V]) spare() (int64, bool) { return it.age(), !it.fixed }

func (it *item[V]) age() int64 { return max(it.used.Load(), -it.used.Load()) }

// Place is where a store keeps a value.
type Place struct {
	shard uint8
	key   string
}

// New returns a store for limit values, at least one.
func New[O comparable, V any](limit int) *Store[O, V] {
	n := min(max(limit/perShard, 1), maxShards)
	s := &Store[O, V]{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	s.setLimit(limit)
	for i := range s.shards {
		// No janitor: its goroutine is stopped by a finalizer only, and one
		// sweep of a million values held the lock for 14 ms.
		s.shards[i].items = cache.New(cache.NoExpiration, 0)
	}
	return s
}

func (s *Store[O, V]) setLimit(limit int) {
	s.limit.Store(int64(limit))
	s.fair.Store(int64(max(limit/len(s.shards), 1)))
}

// Limit sets another limit, and drops what is too much.
func (s *Store[O, V]) Limit(limit int) {
	if int64(limit) == s.limit.Load() {
		return
	}
	s.setLimit(limit)
	for i := range s.shards {
		sh := &s.shards[i]
		if over := sh.items.ItemCount() - int(s.fair.Load()); over > 0 {
			sh.items.DeleteExpired()
			sh.drop(over, math.MaxInt)
		}
	}
}

// Place tells where an owner's value is kept, or would be.
func (s *Store[O, V]) Place(owner O, key string) Place {
	if len(s.shards) == 1 {
		return Place{0, key}
	}
	return Place{uint8(maphash.Comparable(s.seed, owner) % uint64(len(s.shards))), key} //nolint:gosec // there are 64 at most
}

func (s *Store[O, V]) shard(owner O) *shard { return &s.shards[s.Place(owner, "").shard] }

// Get returns a value that has not expired, and notes its use.
func (s *Store[O, V]) Get(owner O, key string, now time.Time) (value V, ok bool) {
	v, ok := s.shard(owner).items.Get(key)
	if !ok {
		return value, false
	}
	it := v.(*item[V])
	if at := now.UnixNano(); at-it.age() > int64(useGrain) {
		it.used.Store(at)
	}
	return it.value, true
}

// Peek is Get without noting a use. used tells whether the value was used
// since it was set.
func (s *Store[O, V]) Peek(at Place) (value V, used, ok bool) {
	v, ok := s.shards[at.shard].items.Get(at.key)
	if !ok {
		return value, false, false
	}
	it := v.(*item[V])
	return it.value, it.used.Load() > 0, true
}

// Set keeps a value for a time; one without any is dropped. fixed values are
// not dropped to make room.
func (s *Store[O, V]) Set(owner O, key string, value V, life time.Duration, fixed bool) {
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
	it := &item[V]{value: value, fixed: fixed}
	it.used.Store(-now.UnixNano())
	sh.items.Set(key, it, life)
}

// Sweep drops what has expired around a place, unless that was done less than
// [SweepEvery] ago.
func (s *Store[O, V]) Sweep(around Place) { s.shards[around.shard].sweep(time.Now()) }

func (sh *shard) sweep(now time.Time) {
	last := sh.swept.Load()
	if now.UnixNano()-last >= int64(SweepEvery) && sh.swept.CompareAndSwap(last, now.UnixNano()) {
		sh.items.DeleteExpired()
	}
}

// full tells whether a shard has to make room. Shards do not fill evenly: one
// may have more than its part as long as the others have less.
func (s *Store[O, V]) full(sh *shard) bool {
	n, fair := sh.items.ItemCount(), int(s.fair.Load())
	return n >= fair && (n >= 2*fair || s.Len() >= int(s.limit.Load()))
}

func (s *Store[O, V]) makeRoom(sh *shard) {
	sh.items.DeleteExpired()
	if !s.full(sh) {
		return
	}
	n := max(int(s.fair.Load())/dropShare, 1)
	sh.drop(n, n*sampleSize)
}

// drop drops n values, the least recently used of a sample.
func (sh *shard) drop(n, size int) {
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
func (s *Store[O, V]) Delete(owner O, key string) { s.shard(owner).items.Delete(key) }

// DeleteOf drops an owner's values for which f is true.
func (s *Store[O, V]) DeleteOf(owner O, f func(V) bool) { s.shard(owner).deleteFunc(valueFunc(f)) }

// DeleteFunc drops all values for which f is true.
func (s *Store[O, V]) DeleteFunc(f func(V) bool) {
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
func (s *Store[O, V]) CountFunc(f func(V) bool) (n int) {
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
func (s *Store[O, V]) Len() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].items.ItemCount()
	}
	return n
}
