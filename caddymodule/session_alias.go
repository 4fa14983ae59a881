// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// A session may be used by several names: each directive may give the realm a
// name of its own, and take another claim for the subject. Whoever revokes it by
// one of them has it end by all, also where it was not used before: which names
// there are is read from the configuration, see session_alias_walk.go. Where that
// leaves open whose names they are, they count once such a session was used by one.

// aliasRegistry holds the names by which a configuration uses sessions, by the
// namespace of the sessions.
type aliasRegistry struct {
	once        sync.Once
	mu          sync.Mutex
	byNamespace map[string]*aliases
}

// aliases are the names by which the sessions of one namespace are used. They are
// safe for concurrent use; a list is replaced and never changed.
type aliases struct {
	namespace string
	list      atomic.Pointer[[]session.Alias]
}

// learnedAliases are the names that were learnt from use, by namespace. They outlive
// configurations, as revocations do.
var learnedAliases = struct {
	mu  sync.Mutex
	all map[string][]session.Alias
}{all: make(map[string][]session.Alias)}

// aliasesOf returns the names of a namespace, which it makes if there are none.
func (n *aliasRegistry) aliasesOf(namespace string) *aliases {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.byNamespace[namespace]
	if a == nil {
		a = &aliases{namespace: namespace}
		n.byNamespace[namespace] = a
	}
	return a
}

// addIfLearned adds a name if a session of the namespace was used by it before.
func (a *aliases) addIfLearned(alias session.Alias) {
	learnedAliases.mu.Lock()
	defer learnedAliases.mu.Unlock()
	if slices.Contains(learnedAliases.all[a.namespace], alias) {
		a.add(alias)
	}
}

// add adds a name to a copy of the list: a session notes by which list it was
// checked.
func (a *aliases) add(alias session.Alias) {
	var list []session.Alias
	if old := a.list.Load(); old != nil {
		list = *old
	}
	if !slices.Contains(list, alias) {
		list = append(slices.Clone(list), alias)
		a.list.Store(&list)
	}
}

// learn notes that a session of the namespace is used by a name.
func (a *aliases) learn(alias session.Alias) {
	learnedAliases.mu.Lock()
	defer learnedAliases.mu.Unlock()
	if list := a.list.Load(); list != nil && slices.Contains(*list, alias) {
		return
	}
	if all := learnedAliases.all[a.namespace]; len(all) < maxLearnedAliases {
		learnedAliases.all[a.namespace] = append(all, alias)
	}
	a.add(alias)
}

// maxLearnedAliases bounds the names of a namespace. It is more than anybody
// configures.
const maxLearnedAliases = 100
