// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// presentEvery is how often a machine tells that it listens, presentFor
	// for how long that counts.
	presentEvery = 3 * time.Second
	presentFor   = 10 * time.Second
)

// present tells that this machine listens, once in a while, and has the stream
// forget what is old.
func (f *Fleet) present() error {
	if time.Since(f.presented) < presentEvery {
		return nil
	}
	if err := f.try(f.ctx, func(ctx context.Context) error {
		key, now := f.streamKey("machines"), f.serverTime()
		pipe := f.client.Pipeline()
		pipe.ZAdd(ctx, key, redis.Z{Score: float64(now.UnixMilli()), Member: f.machine})
		pipe.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.Add(-presentFor).UnixMilli(), 10))
		pipe.PExpire(ctx, key, time.Minute)
		pipe.XTrimMinIDApprox(ctx, f.streamKey("purges"), idAt(now.Add(-streamedFor)), 0)
		return execute(ctx, pipe)
	}); err != nil {
		return err
	}
	f.presented = time.Now()
	return nil
}

// Machines is how many other machines listen; 0 if Redis cannot be used.
func (f *Fleet) Machines(ctx context.Context) int {
	l := f.reach(ctx)
	if l == nil {
		return 0
	}
	var others int64
	_ = f.do(ctx, l, func(ctx context.Context) error {
		n, err := f.client.ZCount(ctx, f.streamKey("machines"), strconv.FormatInt(f.serverTime().Add(-presentFor).UnixMilli(), 10), "+inf").Result()
		others = n - 1
		return err
	})
	return int(max(others, 0))
}

// absent tells that this machine has gone, if that can be told.
func (f *Fleet) absent() {
	if !f.Up() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	defer cancel()
	_ = f.client.ZRem(ctx, f.streamKey("machines"), f.machine).Err()
}
