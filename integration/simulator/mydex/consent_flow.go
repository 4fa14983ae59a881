// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"sync"
	"time"
)

// What a member's link is for.
const (
	kindConnect      = "connect"
	kindUpdate       = "update" // connect with a version above 1
	kindIdentify     = "identify"
	kindNotification = "notification"
)

// consentFlow is what a member does from opening the link to deciding.
type consentFlow struct {
	kind         string
	version      int
	mydexID      string // for whom the link was made; empty: for anybody
	returnTo     string
	linkingToken *string
	begun        time.Time

	id      string // names the consent flow in the pages, once the link is open
	member  Member // who signed in
	decided bool
}

// consentFlows keeps links and consent flows until they are too old to matter.
type consentFlows struct {
	mu      sync.Mutex
	byToken map[string]*consentFlow
	byID    map[string]*consentFlow
	sweepAt int
}

const rememberLink = 24 * time.Hour

// add returns the token of the link to a new consent flow.
func (s *consentFlows) add(j consentFlow, now time.Time) (token string) {
	token = secret(24)
	j.begun = now
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byToken == nil {
		s.byToken, s.byID = make(map[string]*consentFlow), make(map[string]*consentFlow)
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

// open opens a link and returns a copy of its consent flow, or why it does not open.
func (s *consentFlows) open(token string, now time.Time, settings *Settings, fits func(*consentFlow) bool) (consentFlow, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.byToken[token]
	lifetime := time.Duration(settings.LinkLifetime) * time.Second
	switch {
	case j == nil || !fits(j):
		return consentFlow{}, "This link is not one of ours."
	case j.decided, j.id != "" && !settings.ReopenLinks:
		return consentFlow{}, "This link has been used."
	case lifetime != 0 && !now.Before(j.begun.Add(lifetime)):
		return consentFlow{}, "This link is too old."
	}
	delete(s.byID, j.id) // of an earlier opening
	j.id, j.member = secret(24), Member{}
	s.byID[j.id] = j
	return *j, ""
}

// update changes a consent flow that is going on, and returns a copy of it. What f
// returns is why it must not be changed.
func (s *consentFlows) update(id string, f func(*consentFlow) string) (consentFlow, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.byID[id]
	if id == "" || j == nil {
		return consentFlow{}, "This page is not one of ours."
	}
	if j.decided {
		return consentFlow{}, "This has been decided already."
	}
	if reason := f(j); reason != "" {
		return consentFlow{}, reason
	}
	return *j, ""
}
