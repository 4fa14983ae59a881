// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

// maxPerPerson is how many sessions of one person are remembered. Somebody who
// signs in again and again, or spells one session in many ways that the app reads
// alike, must not push those of others out.
const maxPerPerson = 16

// latestPerPerson bounds the sessions of each person in another cache. Safe for
// concurrent use.
type latestPerPerson struct {
	mu     sync.Mutex
	life   time.Duration // at least that of an entry of the other cache
	people *lru.Cache[delegation.Person, []digest]
}

func newLatestPerPerson(life time.Duration) *latestPerPerson {
	return &latestPerPerson{life: life, people: lru.New[delegation.Person, []digest](maxSessions)}
}

// add records the latest session of a person. If over, the person has too many, and
// the oldest has to be dropped from the other cache.
func (l *latestPerPerson) add(of digest, who delegation.Person) (oldest digest, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := personKey(who)
	theirs, _ := l.people.Get(who, name, time.Now())
	theirs = append(slices.DeleteFunc(slices.Clone(theirs), func(d digest) bool { return d == of }), of)
	if over = len(theirs) > maxPerPerson; over {
		oldest, theirs = theirs[0], theirs[1:]
	}
	l.people.Set(who, name, theirs, l.life, false)
	return oldest, over
}
