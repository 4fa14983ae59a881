// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ErrPurged is why a token that was being minted is not used: it was purged
// meanwhile. Whoever asks again is judged anew, by their session too.
var ErrPurged error = &delegation.Refusal{Code: delegation.IssuerUnavailable, RetryAfter: time.Second}

// ErrIncomplete is a purge that other machines do not know of yet.
var ErrIncomplete = errors.New("purge_incomplete: this machine has purged, the others will as soon as the shared level is back")

// Purges are those that operations under way have to know of. An operation that
// began before a purge must neither keep nor use what it obtains, or a logout
// would lose the race, however long it takes: a purge is forgotten when the last
// operation from before it has ended, and no sooner.
type Purges struct {
	mu          sync.Mutex
	generation  uint64 // of the latest purge
	forgotten   uint64 // the latest one that is forgotten
	latest      map[delegation.Selection]*purge
	oldestFirst *list.List // of *purge, the oldest first
	pending     *list.List // of *begun, the oldest first
}

type purge struct {
	selection  delegation.Selection
	generation uint64
	position   *list.Element // nil: no operation is from before it
	holders    int           // operations that are told from earlier ones by it
}

// pendingOperations are the operations that began after the same purge and have not ended.
type pendingOperations struct {
	generation uint64
	count      int
}

// NewPurges returns none.
func NewPurges() *Purges {
	return &Purges{latest: make(map[delegation.Selection]*purge), oldestFirst: list.New(), pending: list.New()}
}

// Add notes a purge. Until done is called it is not forgotten: what is kept of
// whom it selects has to be dropped before.
func (p *Purges) Add(s delegation.Selection) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hold := p.hold(p.generation)
	p.generation++
	if old := p.latest[s]; old != nil && old.position != nil {
		p.oldestFirst.Remove(old.position)
	}
	now := &purge{selection: s, generation: p.generation}
	now.position = p.oldestFirst.PushBack(now)
	p.latest[s] = now
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.release(hold)
	}
}

// Operation is something under way for an identity, until End.
type Operation struct {
	purges     *Purges
	id         *delegation.Identity
	generation uint64 // purges after that one concern it
	held       *list.Element
	latest     *purge // that covers the identity; may be nil
}

// Begin begins an operation.
func (p *Purges) Begin(id *delegation.Identity) *Operation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newOperation(id, p.generation)
}

// Resume begins an operation that goes on with what another one began, which
// may have ended. The error is [ErrPurged], also if that cannot be told any
// longer: nobody waits for it then.
func (o *Operation) Resume() (*Operation, error) {
	p := o.purges
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forgotten > o.generation || p.latestGeneration(o.id) > o.generation {
		return nil, ErrPurged
	}
	return p.newOperation(o.id, o.generation), nil
}

func (p *Purges) newOperation(id *delegation.Identity, since uint64) *Operation {
	o := &Operation{purges: p, id: id, generation: since, held: p.hold(since)}
	if o.latest = p.latestCovering(id); o.latest != nil {
		o.latest.holders++
	}
	return o
}

// hold is for who holds the lock. Few began before the latest purge.
func (p *Purges) hold(generation uint64) *list.Element {
	e := p.pending.Back()
	for e != nil && e.Value.(*pendingOperations).generation > generation {
		e = e.Prev()
	}
	switch {
	case e == nil:
		e = p.pending.PushFront(&pendingOperations{generation: generation})
	case e.Value.(*pendingOperations).generation != generation:
		e = p.pending.InsertAfter(&pendingOperations{generation: generation}, e)
	}
	e.Value.(*pendingOperations).count++
	return e
}

// End ends the operation.
func (o *Operation) End() {
	p := o.purges
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.latest != nil {
		o.latest.holders--
		p.forget(o.latest)
	}
	p.release(o.held)
}

func (p *Purges) release(hold *list.Element) {
	b := hold.Value.(*pendingOperations)
	if b.count--; b.count > 0 {
		return
	}
	p.pending.Remove(hold)
	oldest := p.generation
	if first := p.pending.Front(); first != nil {
		oldest = first.Value.(*pendingOperations).generation
	}
	for e := p.oldestFirst.Front(); e != nil && e.Value.(*purge).generation <= oldest; e = p.oldestFirst.Front() {
		old := e.Value.(*purge)
		p.oldestFirst.Remove(e)
		old.position = nil
		p.forgotten = max(p.forgotten, old.generation)
		p.forget(old)
	}
}

// forget drops a purge that nobody needs.
func (p *Purges) forget(old *purge) {
	if old.position == nil && old.holders == 0 && p.latest[old.selection] == old {
		delete(p.latest, old.selection)
	}
}

// Generation tells an operation from those of the same identity before a purge.
func (o *Operation) Generation() uint64 {
	if o.latest == nil {
		return 0
	}
	return o.latest.generation
}

// Purged tells whether the identity was purged since the operation began.
func (o *Operation) Purged() bool { return o.UnlessPurged(func() {}) != nil }

// UnlessPurged runs f if the identity was not purged since the operation began; no
// purge can come in between.
func (o *Operation) UnlessPurged(f func()) error {
	p := o.purges
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latestGeneration(o.id) > o.generation {
		return ErrPurged
	}
	f()
	return nil
}

// latestGeneration is the generation of the latest purge that covers an identity.
func (p *Purges) latestGeneration(id *delegation.Identity) uint64 {
	if latest := p.latestCovering(id); latest != nil {
		return latest.generation
	}
	return 0
}

func (p *Purges) latestCovering(id *delegation.Identity) (latest *purge) {
	if len(p.latest) == 0 {
		return nil
	}
	for _, s := range id.Selections() {
		if one := p.latest[s]; one != nil && (latest == nil || one.generation > latest.generation) {
			latest = one
		}
	}
	return latest
}
