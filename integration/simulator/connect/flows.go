// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"crypto/rand"
	"sync"
	"time"
)

// flow is a visit to the widget, from its opening to its end.
type flow struct {
	id       string
	app      Application
	user     string // the person, in the application's words
	origin   string // of the page that frames or opened the widget; empty: it is a page of its own
	finish   string // where that leads to; empty: nowhere
	close    string
	userCode string // the account; empty: not chosen yet
	begun    time.Time
	over     bool
}

// flows keeps visits until they are too old to matter.
type flows struct {
	mu      sync.Mutex
	all     map[string]*flow
	sweepAt int
}

const rememberFlow = time.Hour

// add begins a visit and returns it with its ID.
func (s *flows) add(f flow) flow {
	f.id = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string]*flow)
	}
	if len(s.all) >= s.sweepAt {
		for id, old := range s.all {
			if f.begun.Sub(old.begun) > rememberFlow {
				delete(s.all, id)
			}
		}
		s.sweepAt = max(1024, 2*len(s.all))
	}
	s.all[f.id] = &f
	return f
}

// update changes a visit that is going on and returns a copy of it. ok is false
// if there is none, or if change says no.
func (s *flows) update(id string, now time.Time, change func(*flow) bool) (f flow, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.all[id]
	if found == nil || found.over || now.Sub(found.begun) > rememberFlow || !change(found) {
		return flow{}, false
	}
	return *found, true
}
