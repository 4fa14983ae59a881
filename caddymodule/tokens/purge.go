// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ErrPurged is why a token that was being minted is not used: it was purged
// meanwhile. Whoever asks again is judged anew, by their session too.
var ErrPurged error = &delegation.Refusal{Code: delegation.IssuerUnavailable, RetryAfter: time.Second}

// ErrIncomplete is a purge that other machines do not know of yet.
var ErrIncomplete = errors.New("purge_incomplete: this machine has purged, the others will as soon as the shared level is back")

// Purges are the latest purges. Each has a generation; a mint that began in an
// earlier one must neither be stored nor used, or a logout would lose the race.
type Purges struct {
	keep time.Duration

	mu         sync.Mutex
	generation uint64
	latest     map[delegation.Selection]purge
	swept      time.Time
}

type purge struct {
	generation uint64
	at         time.Time
}

// NewPurges remembers purges for as long as a mint that began before can go on.
func NewPurges(keep time.Duration) *Purges {
	return &Purges{keep: keep, latest: make(map[delegation.Selection]purge)}
}

// Keep changes for how long they are remembered, for those to come.
func (p *Purges) Keep(keep time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = max(p.keep, keep)
}

// Add notes a purge.
func (p *Purges) Add(s delegation.Selection) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.swept) > p.keep {
		p.swept = now
		maps.DeleteFunc(p.latest, func(_ delegation.Selection, old purge) bool { return now.Sub(old.at) > p.keep })
	}
	p.generation++
	p.latest[s] = purge{p.generation, now}
}

// Of is the generation of the latest purge that covers an identity.
func (p *Purges) Of(id *delegation.Identity) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.covering(id)
}

func (p *Purges) covering(id *delegation.Identity) uint64 {
	if len(p.latest) == 0 {
		return 0
	}
	var latest uint64
	for _, s := range id.Selections() {
		latest = max(latest, p.latest[s].generation)
	}
	return latest
}

// Unless runs f if the identity was not purged after a generation; no purge
// can come in between.
func (p *Purges) Unless(id *delegation.Identity, since uint64, f func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.covering(id) > since {
		return ErrPurged
	}
	f()
	return nil
}
