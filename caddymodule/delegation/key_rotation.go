// SPDX-License-Identifier: Apache-2.0

package delegation

import "sync"

// KeyRotation names the keys of one account, so that [Identity.Key] stays the same
// while they are rotated: a token belongs to the account and not to the key that
// it was obtained with. A key takes over the name of the key that it replaces
// while the server runs, or that it was listed with in an earlier configuration.
// A configuration whose first key was not known before begins with a name, and so
// with tokens, of its own.
//
// The zero value knows no key. It is kept by [Host.Retain], keyed by the account.
type KeyRotation struct {
	mu    sync.Mutex
	names map[string]string // by a key's fingerprint
}

// NameOf returns the name for the keys of a configuration, given by their
// fingerprints: the name of its first key, or that key's own fingerprint if it is
// new.
func (s *KeyRotation) NameOf(keys ...string) (name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, known := s.names[keys[0]]
	if !known {
		name = keys[0]
	}
	s.adopt(name, keys)
	return name
}

// Supersedes reports whether a configuration's first key is none of those that the
// account has been known by: [KeyRotation.NameOf] returns a new name for it.
func (s *KeyRotation) Supersedes(first string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.names[first]
	return len(s.names) > 0 && !known
}

// Replace gives a name to keys that have taken the place of those which had it.
func (s *KeyRotation) Replace(name string, keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopt(name, keys)
}

func (s *KeyRotation) adopt(name string, keys []string) {
	if s.names == nil {
		s.names = make(map[string]string)
	}
	for _, key := range keys {
		if _, known := s.names[key]; !known {
			s.names[key] = name
		}
	}
}

// Close implements [io.Closer]; there is nothing to end.
func (*KeyRotation) Close() error { return nil }
