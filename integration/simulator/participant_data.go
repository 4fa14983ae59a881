// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxStored bounds how many things of a kind are kept per participant; the
// oldest go first.
const maxStored = 1000

// participantStore hold what participants wrote. Who wrote nothing has none.
type participantStore struct {
	mu  sync.Mutex
	all map[string]*participantData
}

// of returns the participant's data, making it if needed.
func (s *participantStore) of(participantID string) *participantData {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string]*participantData)
	}
	if s.all[participantID] == nil {
		s.all[participantID] = &participantData{marks: make(map[string]bool), files: make(map[string]*file), times: make(map[string]time.Time)}
	}
	return s.all[participantID]
}

// find returns the participant's data or nil, which reads as an empty one.
func (s *participantStore) find(participantID string) *participantData {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[participantID]
}

type participantData struct {
	mu            sync.Mutex
	events        []map[string]any
	points        []map[string]any // never changed once they are here
	marks         map[string]bool  // "deleted " or "read " and an ID
	files         map[string]*file // by key
	times         map[string]time.Time
	surveyAnswers []surveyAnswer
}

type file struct {
	key, category, name string
	contentType         string
	data                []byte
	modified            time.Time
}

// read returns what is in a participant's data; the zero value if there are none.
func read[T any](s *participantData, get func() T) (value T) {
	if s == nil {
		return value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return get()
}

func (s *participantData) mark(what, id string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = !s.marks[what+id]
	s.marks[what+id] = true
	return changed
}

func (s *participantData) marked(what, id string) bool {
	return read(s, func() bool { return s.marks[what+id] })
}

func (s *participantData) delete(id string)         { s.mark("deleted ", id) }
func (s *participantData) isDeleted(id string) bool { return s.marked("deleted ", id) }

func (s *participantData) undelete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.marks, "deleted "+id)
}

func (s *participantData) addSurvey(a surveyAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.surveyAnswers = last(append(s.surveyAnswers, a))
}

func (s *participantData) allSurveys() []surveyAnswer {
	return read(s, func() []surveyAnswer { return slices.Clone(s.surveyAnswers) })
}

func (s *participantData) addEvent(event map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = last(append(s.events, event))
}

func (s *participantData) allEvents() []map[string]any {
	return read(s, func() []map[string]any { return slices.Clone(s.events) })
}

func (s *participantData) addPoints(points []map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.points = last(append(s.points, points...))
}

func (s *participantData) devicePoints() []map[string]any {
	return read(s, func() []map[string]any { return slices.Clone(s.points) })
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func last[T any](all []T) []T {
	return slices.Clone(all[max(0, len(all)-maxStored):])
}

// putFile returns false if there is no room for another file.
func (s *participantData) putFile(f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[f.key] == nil && len(s.files) >= maxStored {
		return false
	}
	s.files[f.key] = f
	return true
}

func (s *participantData) removeFile(key string) (removed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	removed = s.files[key] != nil
	delete(s.files, key)
	return removed
}

func (s *participantData) file(key string) *file {
	return read(s, func() *file { return s.files[key] })
}

// allFiles returns the files ordered by key.
func (s *participantData) allFiles() []*file {
	return read(s, func() []*file {
		return slices.SortedFunc(maps.Values(s.files), func(a, b *file) int { return strings.Compare(a.key, b.key) })
	})
}

// time is when something was done to what has that name; zero if never.
func (s *participantData) time(what, name string) time.Time {
	return read(s, func() time.Time { return s.times[what+" "+name] })
}

func (s *participantData) setTime(what, name string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times[what+" "+name] = at
}
