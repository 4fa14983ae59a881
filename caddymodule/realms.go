// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// realmNames are the names that people's realms have here, so that a misspelt one
// is seen.
type realmNames struct {
	mu          sync.Mutex
	configured  []string
	usedDefault atomic.Bool // somebody came who has none
}

func (r *realmNames) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name != "" && !slices.Contains(r.configured, name) {
		r.configured = append(r.configured, name)
	}
}

// knownRealms are those that are configured and those that were used, sorted.
func (a *App) knownRealms() []string {
	all := a.revocations.Realms()
	all = append(all, a.realmNames.all()...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (r *realmNames) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.configured)
	if r.usedDefault.Load() {
		all = append(all, defaultRealm)
	}
	return all
}

// emptyPurgeMessage explains a purge that met nothing.
func (a *App) emptyPurgeMessage(s delegation.Selection) string {
	const nothing = "nothing was met here: no session, token or lookup of whom it selects"
	known := a.knownRealms()
	if s.Realm == "" || len(known) == 0 || slices.Contains(known, s.Realm) {
		return nothing
	}
	return nothing + "; the realms known here are " + strings.Join(known, ", ")
}
