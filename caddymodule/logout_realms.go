// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"sync"

	"go.uber.org/zap"
)

// logoutRealms compares the realms of sessions with those that back-channel logouts
// revoke. A logout of a realm that no session has ends none, and nobody would notice:
// issuers are answered 200 for users who are not here as well.
type logoutRealms struct {
	mu             sync.Mutex
	sessions       []string
	issuersUnknown bool       // of some sessions only the answers tell the realm
	logouts        [][]string // of each back-channel the issuer, and the configured realm
}

// addSession adds the realms of an app_session's sessions. Without any, each answer of
// the issuer tells its own.
func (r *logoutRealms) addSession(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	r.sessions = append(r.sessions, names...)
	r.issuersUnknown = r.issuersUnknown || len(names) == 0
}

// addLogout adds the realms in which a back-channel revokes sessions.
func (r *logoutRealms) addLogout(issuer, realm string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := []string{issuer}
	if realm != "" && realm != issuer {
		names = append(names, realm)
	}
	r.logouts = append(r.logouts, names)
}

// unmatched returns the realms of each back-channel of which no session has one.
func (r *logoutRealms) unmatched() (all [][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.issuersUnknown {
		return nil
	}
	for _, names := range r.logouts {
		if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(r.sessions, name) }) {
			all = append(all, names)
		}
	}
	return all
}

// logUnmatched warns of unmatched realms. It runs when all handlers are provisioned.
func (r *logoutRealms) logUnmatched(logger *zap.Logger) {
	for _, names := range r.unmatched() {
		logger.Warn("a back-channel logout belongs to no app_session: it ends no session, unless answers of introspect name its issuer. Write its issuer as `realm` of the app_session, or the same realm in both",
			zap.Strings("realms", names))
	}
}
