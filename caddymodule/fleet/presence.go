// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// presenceEvery is how often a machine says that it listens, presenceTTL how
	// long that counts.
	presenceEvery = 3 * time.Second
	presenceTTL   = 10 * time.Second
)

// announcePresence says that this machine listens, every presenceEvery, and trims
// the stream to streamTTL.
func (f *Fleet) announcePresence() error {
	if time.Since(f.lastPresence) < presenceEvery {
		return nil
	}
	if err := f.try(f.ctx, func(ctx context.Context) error {
		key, now := f.streamKey("machines"), f.serverTime()
		pipe := f.client.Pipeline()
		pipe.ZAdd(ctx, key, redis.Z{Score: float64(now.UnixMilli()), Member: f.machine})
		pipe.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.Add(-presenceTTL).UnixMilli(), 10))
		pipe.PExpire(ctx, key, time.Minute)
		pipe.XTrimMinIDApprox(ctx, f.streamKey("purges"), idAt(now.Add(-streamTTL)), 0)
		return execute(ctx, pipe)
	}); err != nil {
		return err
	}
	f.lastPresence = time.Now()
	return nil
}

// OtherMachines is how many other machines listen; 0 if Redis cannot be used.
func (f *Fleet) OtherMachines(ctx context.Context) int {
	ep := f.current(ctx)
	if ep == nil {
		return 0
	}
	var others int64
	_ = f.do(ctx, ep, func(ctx context.Context) error {
		n, err := f.client.ZCount(ctx, f.streamKey("machines"), strconv.FormatInt(f.serverTime().Add(-presenceTTL).UnixMilli(), 10), "+inf").Result()
		others = n - 1
		return err
	})
	return int(max(others, 0))
}

// withdrawPresence says that this machine has gone, if that can be said.
func (f *Fleet) withdrawPresence() {
	if !f.Up() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	defer cancel()
	_ = f.client.ZRem(ctx, f.streamKey("machines"), f.machine).Err()
}
