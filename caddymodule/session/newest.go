// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

// maxPerPerson is how many sessions of one person are remembered: somebody who
// signs in again and again, or writes one session in many ways that the app
// reads alike, must not push the others out.
const maxPerPerson = 16

// latestPerPerson are the latest sessions of each person, as far as they are remembered
// somewhere else.
type latestPerPerson struct {
	mu     sync.Mutex
	life   time.Duration // at least that of a session
	people *lru.Cache[delegation.Person, []digest]
}

func newLatestPerPerson(life time.Duration) *latestPerPerson {
	return &latestPerPerson{life: life, people: lru.New[delegation.Person, []digest](maxSessions)}
}

// add notes a session of a person, and returns the one that is to be forgotten
// if these are too many.
func (n *latestPerPerson) add(of digest, who delegation.Person) (oldest digest, over bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := personKey(who)
	theirs, _ := n.people.Get(who, name, time.Now())
	theirs = append(slices.DeleteFunc(slices.Clone(theirs), func(d digest) bool { return d == of }), of)
	if over = len(theirs) > maxPerPerson; over {
		oldest, theirs = theirs[0], theirs[1:]
	}
	n.people.Set(who, name, theirs, n.life, false)
	return oldest, over
}
