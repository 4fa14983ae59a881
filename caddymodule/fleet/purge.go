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
	// purgedFor is longer than any token is kept, see keepFor.
	purgedFor = 31 * 24 * time.Hour
	// streamed is how many purges a machine may miss before it has to drop all.
	streamed = 100_000
	// streamedFor is for how long at most.
	streamedFor = 24 * time.Hour
	// repeated is for how long purges are told again after an outage: Redis
	// may have lost them before the other machines have read them.
	repeated = time.Minute
	// maxPending is how many purges of one space wait for Redis. Of more, they
	// become one of everybody.
	maxPending = 10_000
)

// purge is a selection in a space.
type purge struct {
	Space     string               `json:"space"`
	Selection delegation.Selection `json:"selection"`
}

// ofTokens tells whether it is of tokens, which may be fetched again. A space
// whose name begins with NUL has none.
func (p purge) ofTokens() bool { return !strings.HasPrefix(p.Space, "\x00") }

// parts name the generation of a purge.
func (p purge) parts() []string {
	return []string{"purge", p.Space, p.Selection.Realm, p.Selection.Subject, p.Selection.Participant}
}

// journal is this machine's own latest purges.
type journal struct {
	records map[purge]*record
	pending map[string]int // those of each space that are not told; only if there are
}

type record struct {
	note
	told bool // to the other machines
}

func newJournal() journal {
	return journal{records: make(map[purge]*record), pending: make(map[string]int)}
}

// note returns the record of a new purge. It replaces an older one of the same
// selection, which is told with it.
func (j *journal) note(p purge) *record {
	if j.pending[p.Space] >= maxPending {
		maps.DeleteFunc(j.records, func(other purge, r *record) bool { return other.Space == p.Space && !r.told })
		delete(j.pending, p.Space)
		p.Selection = delegation.Selection{}
	}
	if old := j.records[p]; old == nil || old.told {
		j.pending[p.Space]++
	}
	r := &record{note: note{purge: p, At: time.Now()}}
	j.records[p] = r
	return r
}

// settle notes that the others know, unless there is a later purge.
func (j *journal) settle(records ...*record) {
	for _, r := range records {
		if j.records[r.purge] != r || r.told {
			continue
		}
		r.told = true
		if j.pending[r.Space]--; j.pending[r.Space] == 0 {
			delete(j.pending, r.Space)
		}
	}
}

// sweep forgets what need not be told again.
func (j *journal) sweep() {
	maps.DeleteFunc(j.records, func(_ purge, r *record) bool { return r.told && time.Since(r.At) > repeated })
}

// Purge implements [tokens.Shared].
func (m *Member) Purge(ctx context.Context, s delegation.Selection) error {
	f := m.fleet
	p := purge{m.space, s}
	f.drop(note{purge: p, At: time.Now()}, m)
	f.reach(ctx)
	f.mu.Lock()
	r := f.journal.note(p)
	f.mu.Unlock()
	// Not before it is noted: Redis comes back only when nothing is pending.
	link := f.health.link.Load()
	if link == nil {
		return tokens.ErrIncomplete
	}
	// Who asked may leave, the purge goes on.
	ctx = delegation.Detach(ctx)
	if f.tell(ctx, []*record{r}, func(ctx context.Context, commands func(context.Context) error) error {
		return f.do(ctx, link, commands)
	}) != nil {
		return tokens.ErrIncomplete
	}
	return nil
}

// replay tells what the journal has that is not told; if Redis may have lost
// it, all.
func (f *Fleet) replay(all bool) error {
	var records []*record
	f.mu.Lock()
	for _, r := range f.journal.records {
		if all || !r.told {
			records = append(records, r)
		}
	}
	f.mu.Unlock()
	return f.tell(f.ctx, records, f.try)
}

// tell raises the generations of purges and then has the other machines drop
// what they hold. In the other order they could fetch it again. It writes
// under all names: during a rotation some machines read by another key.
func (f *Fleet) tell(ctx context.Context, records []*record, run func(context.Context, func(context.Context) error) error) error {
	for some := range slices.Chunk(records, 100) {
		if err := run(ctx, func(ctx context.Context) error {
			pipe := f.client.Pipeline()
			for _, r := range some {
				if !r.ofTokens() {
					continue
				}
				for _, name := range f.sealer.Names(r.parts()...) {
					pipe.Set(ctx, kind(name, "purged"), rand.Text(), purgedFor)
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
				sealed, err := f.sealPurge(r.note)
				if err != nil {
					return err
				}
				own = append(own, f.queueNote(ctx, pipe, sealed))
			}
			if err := execute(ctx, pipe); err != nil {
				return err
			}
			f.stream.expect(own)
			return nil
		}); err != nil {
			return err
		}
		f.mu.Lock()
		f.journal.settle(some...)
		f.mu.Unlock()
	}
	return nil
}

// queueNote queues an entry of the stream, under each of its names, and returns
// the one that this machine reads.
func (f *Fleet) queueNote(ctx context.Context, pipe redis.Pipeliner, sealed string) (own *redis.StringCmd) {
	mine := f.streamKey("purges")
	for _, name := range f.sealer.Names(streamName) {
		key := kind(name, "purges")
		added := pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: key, MaxLen: streamed, Approx: true,
			Values: []string{"by", f.machine, "purge", sealed},
		})
		if key == mine {
			own = added
		}
	}
	return own
}
