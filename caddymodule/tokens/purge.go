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
	mu         sync.Mutex
	generation uint64 // of the latest purge
	forgotten  uint64 // the latest one that is forgotten
	latest     map[delegation.Selection]*purge
	order      *list.List // of *purge, the oldest first
	begun      *list.List // of *begun, the oldest first
}

type purge struct {
	selection  delegation.Selection
	generation uint64
	inOrder    *list.Element // nil: no operation is from before it
	pins       int           // operations that are told from earlier ones by it
}

// begun are the operations that began after the same purge and have not ended.
type begun struct {
	generation uint64
	count      int
}

// NewPurges returns none.
func NewPurges() *Purges {
	return &Purges{latest: make(map[delegation.Selection]*purge), order: list.New(), begun: list.New()}
}

// Add notes a purge. Until done is called it is not forgotten: what is kept of
// whom it selects has to be dropped before.
func (p *Purges) Add(s delegation.Selection) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hold := p.begin(p.generation)
	p.generation++
	if old := p.latest[s]; old != nil && old.inOrder != nil {
		p.order.Remove(old.inOrder)
	}
	now := &purge{selection: s, generation: p.generation}
	now.inOrder = p.order.PushBack(now)
	p.latest[s] = now
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.end(hold)
	}
}

// Operation is something under way for an identity, until End.
type Operation struct {
	purges *Purges
	id     *delegation.Identity
	since  uint64 // purges after that one concern it
	begun  *list.Element
	latest *purge // that covers the identity; may be nil
}

// Begin begins an operation.
func (p *Purges) Begin(id *delegation.Identity) *Operation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.operation(id, p.generation)
}

// Resume begins an operation that goes on with what another one began, which
// may have ended. The error is [ErrPurged], also if that cannot be told any
// longer: nobody waits for it then.
func (o *Operation) Resume() (*Operation, error) {
	p := o.purges
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forgotten > o.since || p.covering(o.id) > o.since {
		return nil, ErrPurged
	}
	return p.operation(o.id, o.since), nil
}

func (p *Purges) operation(id *delegation.Identity, since uint64) *Operation {
	o := &Operation{purges: p, id: id, since: since, begun: p.begin(since)}
	if o.latest = p.latestOf(id); o.latest != nil {
		o.latest.pins++
	}
	return o
}

// begin is for who holds the lock. Few began before the latest purge.
func (p *Purges) begin(generation uint64) *list.Element {
	e := p.begun.Back()
	for e != nil && e.Value.(*begun).generation > generation {
		e = e.Prev()
	}
	switch {
	case e == nil:
		e = p.begun.PushFront(&begun{generation: generation})
	case e.Value.(*begun).generation != generation:
		e = p.begun.InsertAfter(&begun{generation: generation}, e)
	}
	e.Value.(*begun).count++
	return e
}

// End ends the operation.
func (o *Operation) End() {
	p := o.purges
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.latest != nil {
		o.latest.pins--
		p.forget(o.latest)
	}
	p.end(o.begun)
}

func (p *Purges) end(hold *list.Element) {
	b := hold.Value.(*begun)
	if b.count--; b.count > 0 {
		return
	}
	p.begun.Remove(hold)
	oldest := p.generation
	if first := p.begun.Front(); first != nil {
		oldest = first.Value.(*begun).generation
	}
	for e := p.order.Front(); e != nil && e.Value.(*purge).generation <= oldest; e = p.order.Front() {
		old := e.Value.(*purge)
		p.order.Remove(e)
		old.inOrder = nil
		p.forgotten = max(p.forgotten, old.generation)
		p.forget(old)
	}
}

// forget drops a purge that nobody needs.
func (p *Purges) forget(old *purge) {
	if old.inOrder == nil && old.pins == 0 && p.latest[old.selection] == old {
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
func (o *Operation) Purged() bool { return o.Unless(func() {}) != nil }

// Unless runs f if the identity was not purged since the operation began; no
// purge can come in between.
func (o *Operation) Unless(f func()) error {
	p := o.purges
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.covering(o.id) > o.since {
		return ErrPurged
	}
	f()
	return nil
}

// covering is the generation of the latest purge that covers an identity.
func (p *Purges) covering(id *delegation.Identity) uint64 {
	if latest := p.latestOf(id); latest != nil {
		return latest.generation
	}
	return 0
}

func (p *Purges) latestOf(id *delegation.Identity) (latest *purge) {
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
