// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// realmNames are the realms of one configuration's directives. A purge of
// another realm selects nobody, most likely because the name is misspelt.
type realmNames struct {
	mu          sync.Mutex
	configured  []string
	usedDefault atomic.Bool // a request came whose user is in the default realm
}

// add notes the realm of a directive; the empty one is none.
func (r *realmNames) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name != "" && !slices.Contains(r.configured, name) {
		r.configured = append(r.configured, name)
	}
}

// all returns the configured realms, and the default one if it was used.
func (r *realmNames) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.configured)
	if r.usedDefault.Load() {
		all = append(all, defaultRealm)
	}
	return all
}

// knownRealms returns the realms that are configured and those of sessions that
// were verified, sorted.
func (a *App) knownRealms() []string {
	all := a.revocations.Realms()
	all = append(all, a.realmNames.all()...)
	slices.Sort(all)
	return slices.Compact(all)
}

// emptyPurgeMessage explains a purge that found nothing to drop, with the known
// realms if it selects another one.
func (a *App) emptyPurgeMessage(s delegation.Selection) string {
	const nothing = "nothing was found here: there is no session, token or look-up of the selected people"
	known := a.knownRealms()
	if s.Realm == "" || len(known) == 0 || slices.Contains(known, s.Realm) {
		return nothing
	}
	return nothing + "; the realms known here are " + strings.Join(known, ", ")
}
