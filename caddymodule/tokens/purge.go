// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ErrPurged is the refusal of a token whose identity was purged while it was
// being minted. The next request is judged anew, its session too.
var ErrPurged error = &delegation.Refusal{Code: delegation.IssuerUnavailable, RetryAfter: time.Second}

// ErrIncomplete is the error of a purge of which other machines do not know yet.
var ErrIncomplete = errors.New("purge_incomplete: this machine has purged, the others will as soon as the shared level is back")

// Purges is the record of purges that operations under way have to know of. An
// operation that began before a purge must neither keep nor use what it
// obtains, or a logout would lose the race, however long the operation takes. A
// purge is therefore forgotten when the last operation that began before it has
// ended, and no sooner.
type Purges struct {
	mu          sync.Mutex
	generation  uint64 // number of the latest purge
	forgotten   uint64 // number of the latest purge that is forgotten
	latest      map[delegation.Selection]*purge
	oldestFirst *list.List // of *purge, the oldest first
	pending     *list.List // of *begun, the oldest first
}

// purge is the latest purge of one selection.
type purge struct {
	selection  delegation.Selection
	generation uint64
	position   *list.Element // nil: no operation began before it
	holders    int           // operations whose generation it is
}

// pendingOperations counts the operations that began after the same purge and
// have not ended.
type pendingOperations struct {
	generation uint64
	count      int
}

// NewPurges returns an empty record.
func NewPurges() *Purges {
	return &Purges{latest: make(map[delegation.Selection]*purge), oldestFirst: list.New(), pending: list.New()}
}

// Add records a purge, before anything of the selection is deleted. The purge is
// not forgotten before done is called, which is to be when all is deleted.
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

// Operation is work under way for an identity, from [Purges.Begin] to
// [Operation.End].
type Operation struct {
	purges     *Purges
	id         *delegation.Identity
	generation uint64 // purges after that one concern it
	held       *list.Element
	latest     *purge // that covers the identity; may be nil
}

// Begin begins an operation. It has to be ended.
func (p *Purges) Begin(id *delegation.Identity) *Operation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newOperation(id, p.generation)
}

// Resume begins an operation that continues another one, which may have ended.
// The error is [ErrPurged], also if it is not known any more whether there was
// a purge: nobody waits for the result then.
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

// hold keeps the purges after a generation from being forgotten. The caller
// holds mu. The list is searched from its end: most operations began after the
// latest purge.
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

// End ends the operation. It is to be called once.
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

// forget deletes a purge that no operation needs.
func (p *Purges) forget(old *purge) {
	if old.position == nil && old.holders == 0 && p.latest[old.selection] == old {
		delete(p.latest, old.selection)
	}
}

// Generation is the number of the latest purge of the identity before the
// operation began, 0 if there was none. Operations of one identity and one
// generation may share their result.
func (o *Operation) Generation() uint64 {
	if o.latest == nil {
		return 0
	}
	return o.latest.generation
}

// Purged reports whether the identity was purged since the operation began.
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
