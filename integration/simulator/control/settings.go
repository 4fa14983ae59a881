// SPDX-License-Identifier: Apache-2.0

// Package control is what the simulators have in common: settings that change
// while they run, outages, records of what they received, and the calls by
// which a person or a test drives them.
package control

import (
	"context"
	"sync"
	"sync/atomic"
)

// Settings are switches that may be changed at any time.
type Settings[S any] struct {
	clone func(S) S
	check func(*S) error

	mu  sync.Mutex // changes are made in turn
	now atomic.Pointer[Epoch[S]]
}

// Epoch is the time between two changes.
type Epoch[S any] struct {
	Settings S
	over     chan struct{} // closed when it ends
}

// NewSettings returns settings. clone copies all that they lead to; check tells
// which values mean nothing.
func NewSettings[S any](first S, clone func(S) S, check func(*S) error) *Settings[S] {
	s := &Settings[S]{clone: clone, check: check}
	s.now.Store(&Epoch[S]{clone(first), make(chan struct{})})
	return s
}

// Load returns the present epoch, to be read only.
func (s *Settings[S]) Load() *Epoch[S] { return s.now.Load() }

// Get returns a copy.
func (s *Settings[S]) Get() S { return s.clone(s.now.Load().Settings) }

// Change changes them. If what comes of it means nothing, they stay.
func (s *Settings[S]) Change(change func(*S) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.now.Load()
	next := s.clone(old.Settings)
	if err := change(&next); err != nil {
		return err
	}
	if err := s.check(&next); err != nil {
		return err
	}
	// Cloned again: the caller may hold on to what it was given.
	s.now.Store(&Epoch[S]{s.clone(next), make(chan struct{})})
	close(old.over)
	return nil
}

// Await returns the settings as soon as they do not hold requests back, nil if
// whoever asked has left before.
func (s *Settings[S]) Await(ctx context.Context, holds func(*S) bool) *S {
	for {
		e := s.now.Load()
		if !holds(&e.Settings) {
			return &e.Settings
		}
		select {
		case <-e.over:
		case <-ctx.Done():
			return nil
		}
	}
}
