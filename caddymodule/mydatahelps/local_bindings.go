// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"strings"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// localBindings binds each person to the first participant that they were found to
// be, and each participant to that person. Participants can probably write their
// own custom fields: without bindings anybody could become somebody else by writing
// that person's value, and two accounts of an app could share one participant. The
// grants keep bindings for good; these are the ones that this process has seen.
type localBindings struct {
	mu       sync.Mutex
	ids      map[delegation.Person]string // lower case
	persons  map[string]delegation.Person
	released uint64 // how many bindings were ended here
}

func newLocalBindings() *localBindings {
	return &localBindings{ids: make(map[delegation.Person]string), persons: make(map[string]delegation.Person)}
}

// Close implements [io.Closer]; there is nothing to end.
func (*localBindings) Close() error { return nil }

// bind binds the person to the participant. It returns false if one of the two is
// bound otherwise.
func (p *localBindings) bind(person delegation.Person, id string) bool {
	id = strings.ToLower(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	bound, known := p.ids[person]
	holder, held := p.persons[id]
	if known && bound != id || held && holder != person {
		return false
	}
	p.ids[person], p.persons[id] = id, person
	return true
}

// release ends the person's binding, and keeps look-ups that began before from making
// it again, see releases.
func (p *localBindings) release(person delegation.Person) {
	p.mu.Lock()
	p.released++
	p.mu.Unlock()
	p.drop(person)
}

// releases returns how many bindings were ended. A look-up during which it changes
// must not bind anybody.
func (p *localBindings) releases() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.released
}

// drop forgets the person's binding in this process.
func (p *localBindings) drop(person delegation.Person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := p.ids[person]; ok {
		delete(p.persons, id)
		delete(p.ids, person)
	}
}

// replace binds the person to the participant, whatever was known before.
func (p *localBindings) replace(person delegation.Person, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.persons, p.ids[person])
	delete(p.ids, p.persons[id])
	p.ids[person], p.persons[id] = id, person
}

// isBound reports whether the person is bound to the participant.
func (p *localBindings) isBound(person delegation.Person, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ids[person] == id
}
