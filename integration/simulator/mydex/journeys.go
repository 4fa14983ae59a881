// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"sync"
	"time"
)

// linkLifetime is how long a member's link is good.
const linkLifetime = 5 * time.Minute

// journey is what a member does from opening the link to deciding.
type journey struct {
	version      int
	mydexID      string // for whom the link was made; empty: for anybody
	returnTo     string
	linkingToken *string
	begun        time.Time

	id      string // names the journey in the pages, once the link is open
	member  Member // who signed in
	decided bool
}

// journeys keeps links and journeys until they are too old to matter.
type journeys struct {
	mu      sync.Mutex
	byToken map[string]*journey
	byID    map[string]*journey
	sweepAt int
}

const rememberLink = 24 * time.Hour

// add returns the token of the link to a new journey.
func (s *journeys) add(j journey, now time.Time) (token string) {
	token = secret(24)
	j.begun = now
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byToken == nil {
		s.byToken, s.byID = make(map[string]*journey), make(map[string]*journey)
	}
	if len(s.byToken) >= s.sweepAt {
		for k, old := range s.byToken {
			if now.Sub(old.begun) > rememberLink {
				delete(s.byToken, k)
				delete(s.byID, old.id)
			}
		}
		s.sweepAt = max(1024, 2*len(s.byToken))
	}
	s.byToken[token] = &j
	return token
}

// open opens a link and returns a copy of its journey, or why it does not open.
func (s *journeys) open(token string, now time.Time, fits func(*journey) bool) (journey, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.byToken[token]
	switch {
	case j == nil || !fits(j):
		return journey{}, "This link is not one of ours."
	case j.id != "":
		return journey{}, "This link has been used."
	case !now.Before(j.begun.Add(linkLifetime)):
		return journey{}, "This link is too old."
	}
	j.id = secret(24)
	s.byID[j.id] = j
	return *j, ""
}

// update changes a journey that is going on, and returns a copy of it. What f
// returns is why it must not be changed.
func (s *journeys) update(id string, f func(*journey) string) (journey, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.byID[id]
	if id == "" || j == nil {
		return journey{}, "This page is not one of ours."
	}
	if j.decided {
		return journey{}, "This has been decided already."
	}
	if reason := f(j); reason != "" {
		return journey{}, reason
	}
	return *j, ""
}
