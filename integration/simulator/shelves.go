// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxShelf bounds how many things of a kind are kept per participant; the
// oldest go first.
const maxShelf = 1000

// shelves hold what participants wrote. Who wrote nothing has none.
type shelves struct {
	mu  sync.Mutex
	all map[string]*shelf
}

// of returns the participant's shelf, making it if needed.
func (s *shelves) of(participantID string) *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string]*shelf)
	}
	if s.all[participantID] == nil {
		s.all[participantID] = &shelf{marks: make(map[string]bool), files: make(map[string]*file), times: make(map[string]time.Time)}
	}
	return s.all[participantID]
}

// peek returns the participant's shelf or nil, which reads as an empty one.
func (s *shelves) peek(participantID string) *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[participantID]
}

type shelf struct {
	mu     sync.Mutex
	events []map[string]any
	points []map[string]any // never changed once they are here
	marks  map[string]bool  // "deleted " or "read " and an ID
	files  map[string]*file // by key
	times  map[string]time.Time
	taken  []surveyAnswer
}

type file struct {
	key, category, name string
	contentType         string
	data                []byte
	modified            time.Time
}

func (s *shelf) mark(what, id string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = !s.marks[what+id]
	s.marks[what+id] = true
	return changed
}

func (s *shelf) marked(what, id string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[what+id]
}

func (s *shelf) delete(id string)         { s.mark("deleted ", id) }
func (s *shelf) isDeleted(id string) bool { return s.marked("deleted ", id) }

func (s *shelf) undelete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.marks, "deleted "+id)
}

func (s *shelf) addSurvey(a surveyAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = last(append(s.taken, a))
}

func (s *shelf) allSurveys() []surveyAnswer {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

func (s *shelf) addEvent(event map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = last(append(s.events, event))
}

func (s *shelf) allEvents() []map[string]any {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func (s *shelf) addPoints(points []map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.points = last(append(s.points, points...))
}

func (s *shelf) devicePoints() []map[string]any {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.points)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func last[T any](all []T) []T {
	return slices.Clone(all[max(0, len(all)-maxShelf):])
}

// putFile returns false if there is no room for another file.
func (s *shelf) putFile(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[f.key] == nil && len(s.files) >= maxShelf {
		return false
	}
	s.files[f.key] = f
	return true
}

func (s *shelf) removeFile(key string) (removed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	removed = s.files[key] != nil
	delete(s.files, key)
	return removed
}

func (s *shelf) file(key string) *file {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[key]
}

// allFiles returns the files ordered by key.
func (s *shelf) allFiles() []*file {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*file, 0, len(s.files))
	for _, key := range slices.Sorted(maps.Keys(s.files)) {
		all = append(all, s.files[key])
	}
	return all
}
