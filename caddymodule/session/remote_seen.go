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
	// seenLife is how long a credential that was valid is remembered.
	seenLife = time.Hour

	// unansweredLife is how long a person for whom a call got no answer is last,
	// whatever other calls get: the app may hang for one of their sessions only.
	unansweredLife = time.Minute
)

// seenCredentials are the credentials that were valid within the last hour, and whose.
type seenCredentials struct {
	credentials *lru.Cache[digest, delegation.Person]
	latest      *latestPerPerson
	unanswered  *lru.Cache[delegation.Person, time.Time] // when a call got no answer
}

func newSeenCredentials() *seenCredentials {
	return &seenCredentials{
		credentials: lru.New[digest, delegation.Person](maxSessions),
		latest:      newLatestPerPerson(seenLife),
		unanswered:  lru.New[delegation.Person, time.Time](maxSessions),
	}
}

// person returns whose a credential was.
func (s *seenCredentials) person(of digest) (who delegation.Person, ok bool) {
	return s.credentials.Get(of, string(of[:]), time.Now())
}

// recordAnswer records whether a call for a person got an answer.
func (s *seenCredentials) recordAnswer(who delegation.Person, ok bool) {
	name, now := personKey(who), time.Now()
	if !ok {
		s.unanswered.Set(who, name, now, circuit.FailureLife, false)
	} else if last, silent := s.unanswered.Get(who, name, now); silent && now.Sub(last) >= unansweredLife {
		s.unanswered.Delete(who, name)
	}
}

// rank returns the rank of a person's calls: last if one got no answer lately, as the
// app may always hang for this person.
func (s *seenCredentials) rank(who delegation.Person) fairqueue.Rank {
	if _, silent := s.unanswered.Get(who, personKey(who), time.Now()); silent {
		return fairqueue.RankLast
	}
	return fairqueue.RankFirst
}

// personKey returns a text that no other person has.
func personKey(who delegation.Person) string {
	return strconv.Quote(who.Realm) + strconv.Quote(who.Subject)
}

// add records a valid credential. over is whether its person has more of them than are
// remembered.
func (s *seenCredentials) add(of digest, who delegation.Person) (over bool) {
	oldest, over := s.latest.add(of, who)
	if over {
		s.credentials.Delete(oldest, string(oldest[:]))
	}
	s.credentials.Set(of, string(of[:]), who, seenLife, false)
	return over
}
