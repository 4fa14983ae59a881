// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"strings"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// localBindings binds a person to the first participant they were found to be, both
// ways. Participants can probably write their own custom fields: without pins
// anybody could become somebody else by writing that person's value, and two
// accounts of an app could share one participant. The grants keep them for good,
// these are what is known of them here.
type localBindings struct {
	mu       sync.Mutex
	ids      map[delegation.Person]string // lower case
	persons  map[string]delegation.Person
	released uint64 // how often a pin was ended here
}

func newLocalBindings() *localBindings {
	return &localBindings{ids: make(map[delegation.Person]string), persons: make(map[string]delegation.Person)}
}

// Close implements [io.Closer]; there is nothing to end.
func (*localBindings) Close() error { return nil }

// bind pins the person to the participant, or reports that one of the two is
// pinned otherwise.
func (p *localBindings) bind(who delegation.Person, id string) bool {
	id = strings.ToLower(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	pinned, known := p.ids[who]
	holder, held := p.persons[id]
	if known && pinned != id || held && holder != who {
		return false
	}
	p.ids[who], p.persons[id] = id, who
	return true
}

// release ends the person's pin, and keeps look-ups that began before from
// making it anew.
func (p *localBindings) release(who delegation.Person) {
	p.mu.Lock()
	p.released++
	p.mu.Unlock()
	p.drop(who)
}

// releases is how often a pin was ended.
func (p *localBindings) releases() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.released
}

// drop forgets what is known of the person here.
func (p *localBindings) drop(who delegation.Person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := p.ids[who]; ok {
		delete(p.persons, id)
		delete(p.ids, who)
	}
}

// replace pins the person to the participant, whatever was known before.
func (p *localBindings) replace(who delegation.Person, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.persons, p.ids[who])
	delete(p.ids, p.persons[id])
	p.ids[who], p.persons[id] = id, who
}

// isBound tells whether the person is pinned to the participant.
func (p *localBindings) isBound(who delegation.Person, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ids[who] == id
}
