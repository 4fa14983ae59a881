// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// neighboursWithin bounds the search, in a Redis that holds much of others.
const neighboursWithin = 5 * time.Second

// Neighbours counts the machines that listen at this Redis: those that share this
// keyset, and those of other keysets, which name and seal everything otherwise, so
// that neither side can notice the other while it works. It is for an operator
// whose machines ought to share, searches for at most 5 s, and counts what it has
// found by then.
func (f *Fleet) Neighbours(ctx context.Context) (same, others int, err error) {
	search, cancel := context.WithTimeout(ctx, neighboursWithin)
	defer cancel()
	now, err := f.client.Time(ctx).Result()
	if err != nil {
		return 0, 0, err
	}
	var own []string
	for _, name := range f.sealer.Names(streamName) {
		own = append(own, redisKey(name, "machines"))
	}
	since := strconv.FormatInt(now.Add(-presenceTTL).UnixMilli(), 10)
	count := func(ctx context.Context, key string) error {
		n, err := f.client.ZCount(ctx, key, since, "+inf").Result()
		if slices.Contains(own, key) {
			same += int(n)
		} else {
			others += int(n)
		}
		return err
	}
	keys, err := f.listens(search)
	if err != nil && search.Err() == nil {
		return 0, 0, err
	}
	slices.Sort(keys) // SCAN may return one more than once
	for _, key := range slices.Compact(keys) {
		if err := count(ctx, key); err != nil {
			return same, others, err
		}
	}
	return same, others, nil
}

// listens are the keys, of whatever keyset, that tell which machines listen.
func (f *Fleet) listens(ctx context.Context) (keys []string, err error) {
	var mu sync.Mutex // a cluster's nodes are asked at once
	scan := func(ctx context.Context, client redis.Cmdable) error {
		found := client.Scan(ctx, 0, redisKey("*", "machines"), 1000).Iterator()
		for found.Next(ctx) {
			mu.Lock()
			keys = append(keys, found.Val())
			mu.Unlock()
		}
		return found.Err()
	}
	if cluster, ok := f.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return scan(ctx, node) })
	} else {
		err = scan(ctx, f.client)
	}
	return keys, err
}
