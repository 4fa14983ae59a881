// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

const (
	// generationTTL is how long the generation of a purge is kept. It is longer
	// than any token is kept, see maxTokenTTL.
	generationTTL = 31 * 24 * time.Hour
	// maxStreamLength is how many entries a machine may miss before it has to drop
	// all of its tokens.
	maxStreamLength = 100_000
	// streamTTL is how long an entry stays in the stream at most.
	streamTTL = 24 * time.Hour
	// republishFor is how long purges are published again after an outage: Redis
	// may have lost them before the other machines have read them.
	republishFor = time.Minute
	// maxPending is how many purges of one namespace wait for Redis. More than that
	// become one of everybody.
	maxPending = 10_000
)

// streamSelection is what an entry of the stream is about: people of a namespace,
// which is a provider's, or has the revocations of earlier versions.
type streamSelection struct {
	Namespace string               `json:"space"`
	Selection delegation.Selection `json:"selection"`
}

// ofTokens tells whether a purge is about tokens, which may be fetched again. A
// namespace whose name begins with NUL has none.
func (p streamSelection) ofTokens() bool { return !strings.HasPrefix(p.Namespace, "\x00") }

// generationParts are the parts of the pseudonym in the key of the purge's
// generation.
func (p streamSelection) generationParts() []string {
	return []string{"purge", p.Namespace, p.Selection.Realm, p.Selection.Subject, p.Selection.Participant}
}

// purgeOutbox has this machine's own latest purges.
type purgeOutbox struct {
	records map[streamSelection]*ownPurge
	pending map[string]int // how many of each namespace are not published; without zeros
}

// ownPurge is a purge that was asked of this machine.
type ownPurge struct {
	streamRecord
	published bool // the other machines know of it
}

func newPurgeOutbox() purgeOutbox {
	return purgeOutbox{records: make(map[streamSelection]*ownPurge), pending: make(map[string]int)}
}

// add returns a new purge. It replaces an older one of the same selection, which is
// published with it.
func (j *purgeOutbox) add(p streamSelection) *ownPurge {
	if j.pending[p.Namespace] >= maxPending {
		maps.DeleteFunc(j.records, func(other streamSelection, r *ownPurge) bool { return other.Namespace == p.Namespace && !r.published })
		delete(j.pending, p.Namespace)
		p.Selection = delegation.Selection{}
	}
	if old := j.records[p]; old == nil || old.published {
		j.pending[p.Namespace]++
	}
	r := &ownPurge{streamRecord: streamRecord{streamSelection: p, At: time.Now()}}
	j.records[p] = r
	return r
}

// markPublished notes that the other machines know of purges, except of those that
// a later one has replaced.
func (j *purgeOutbox) markPublished(records ...*ownPurge) {
	for _, r := range records {
		if j.records[r.streamSelection] != r || r.published {
			continue
		}
		r.published = true
		if j.pending[r.Namespace]--; j.pending[r.Namespace] == 0 {
			delete(j.pending, r.Namespace)
		}
	}
}

// dropPublished forgets purges that need not be published again.
func (j *purgeOutbox) dropPublished() {
	maps.DeleteFunc(j.records, func(_ streamSelection, r *ownPurge) bool { return r.published && time.Since(r.At) > republishFor })
}

// Purge implements [tokens.Shared].
func (m *SharedTokens) Purge(ctx context.Context, s delegation.Selection) error {
	f := m.fleet
	p := streamSelection{m.namespace, s}
	f.dropOthers(streamRecord{streamSelection: p, At: time.Now()}, m)
	f.current(ctx)
	f.mu.Lock()
	r := f.purgeOutbox.add(p)
	f.mu.Unlock()
	// Only now, when the purge is in the outbox: Redis comes back only when nothing
	// is pending.
	ep := f.health.epoch.Load()
	if ep == nil {
		return tokens.ErrIncomplete
	}
	// The purge goes on when the request ends.
	ctx = delegation.Detach(ctx)
	if f.publishPurges(ctx, []*ownPurge{r}, func(ctx context.Context, commands func(context.Context) error) error {
		return f.do(ctx, ep, commands)
	}) != nil {
		return tokens.ErrIncomplete
	}
	return nil
}

// republishPurges publishes the purges that are not published; with all, because
// Redis may have lost them, those as well that are.
func (f *Fleet) republishPurges(all bool) error {
	var records []*ownPurge
	f.mu.Lock()
	for _, r := range f.purgeOutbox.records {
		if all || !r.published {
			records = append(records, r)
		}
	}
	f.mu.Unlock()
	return f.publishPurges(f.ctx, records, f.try)
}

// publishPurges raises the generations of purges, and then has the other machines
// drop the tokens. In the other order they could fetch them again. It writes under
// the pseudonyms of all keys: during a rotation some machines read by another key.
// run runs commands at Redis.
func (f *Fleet) publishPurges(ctx context.Context, records []*ownPurge, run func(context.Context, func(context.Context) error) error) error {
	for some := range slices.Chunk(records, 100) {
		if err := run(ctx, func(ctx context.Context) error {
			pipe := f.client.Pipeline()
			for _, r := range some {
				if !r.ofTokens() {
					continue
				}
				for _, name := range f.sealer.Names(r.generationParts()...) {
					pipe.Set(ctx, redisKey(name, "purged"), rand.Text(), generationTTL)
				}
			}
			return execute(ctx, pipe)
		}); err != nil {
			return err
		}
		if err := run(ctx, func(ctx context.Context) error {
			pipe := f.client.Pipeline()
			var own []*redis.StringCmd
			for _, r := range some {
				sealed, err := f.sealStreamRecord(r.streamRecord)
				if err != nil {
					return err
				}
				own = append(own, f.queueStreamEntry(ctx, pipe, sealed))
			}
			if err := execute(ctx, pipe); err != nil {
				return err
			}
			f.stream.expectEchoes(own)
			return nil
		}); err != nil {
			return err
		}
		f.mu.Lock()
		f.purgeOutbox.markPublished(some...)
		f.mu.Unlock()
	}
	return nil
}

// queueStreamEntry queues an entry of the stream, under the pseudonyms of all keys,
// and returns the entry that this machine reads.
func (f *Fleet) queueStreamEntry(ctx context.Context, pipe redis.Pipeliner, sealed string) (own *redis.StringCmd) {
	mine := f.streamKey("purges")
	for _, name := range f.sealer.Names(streamName) {
		key := redisKey(name, "purges")
		added := pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: key, MaxLen: maxStreamLength, Approx: true,
			Values: []string{"by", f.machine, "purge", sealed},
		})
		if key == mine {
			own = added
		}
	}
	return own
}
