// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// seenLife is how long a session counts as valid a while ago.
	seenLife = time.Hour

	// unansweredLife is for how long those wait until all others had their turn for
	// whom there was no answer to one question, whatever was answered to others:
	// the app may hang for one of their sessions only.
	unansweredLife = time.Minute
)

// seenCredentials are credentials that were valid a while ago, and whose they were.
type seenCredentials struct {
	credentials *lru.Cache[digest, delegation.Person]
	latest      *latestPerPerson
	unanswered  *lru.Cache[delegation.Person, time.Time] // for whom there was no answer, and when
}

func newSeenCredentials() *seenCredentials {
	return &seenCredentials{
		credentials: lru.New[digest, delegation.Person](maxSessions),
		latest:      newLatestPerPerson(seenLife),
		unanswered:  lru.New[delegation.Person, time.Time](maxSessions),
	}
}

func (s *seenCredentials) person(of digest) (who delegation.Person, ok bool) {
	return s.credentials.Get(of, string(of[:]), time.Now())
}

// recordAnswer notes whether there was an answer for a person.
func (s *seenCredentials) recordAnswer(who delegation.Person, ok bool) {
	name, now := personKey(who), time.Now()
	if !ok {
		s.unanswered.Set(who, name, now, circuit.FailureLife, false)
	} else if last, silent := s.unanswered.Get(who, name, now); silent && now.Sub(last) >= unansweredLife {
		s.unanswered.Delete(who, name)
	}
}

// rank puts those last for whom there was no answer: who is asked may always
// hang for them.
func (s *seenCredentials) rank(who delegation.Person) fairqueue.Rank {
	if _, silent := s.unanswered.Get(who, personKey(who), time.Now()); silent {
		return fairqueue.RankLast
	}
	return fairqueue.RankFirst
}

func personKey(who delegation.Person) string {
	return strconv.Quote(who.Realm) + strconv.Quote(who.Subject)
}

// add notes a session that is valid. over tells whether its person has more of
// them than are remembered.
func (s *seenCredentials) add(of digest, who delegation.Person) (over bool) {
	oldest, over := s.latest.add(of, who)
	if over {
		s.credentials.Delete(oldest, string(oldest[:]))
	}
	s.credentials.Set(of, string(of[:]), who, seenLife, false)
	return over
}
