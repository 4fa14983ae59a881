// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"sync"

	"go.uber.org/zap"
)

// logoutRealms are the realms of sessions, and those of which a back-channel tells
// that somebody has signed out. One that no session has ends none, and nobody
// would see it: issuers are answered 200 for users who are not here as well.
type logoutRealms struct {
	mu             sync.Mutex
	sessions       []string
	issuersUnknown bool       // some are told by answers only
	logouts        [][]string // the issuer, and the configured realm
}

// addSession adds what an app_session's sessions are found by. Without any name
// their issuer is told by each answer.
func (r *logoutRealms) addSession(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	r.sessions = append(r.sessions, names...)
	r.issuersUnknown = r.issuersUnknown || len(names) == 0
}

// addLogout adds the names that a back-channel revokes sessions by.
func (r *logoutRealms) addLogout(issuer, realm string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := []string{issuer}
	if realm != "" && realm != issuer {
		names = append(names, realm)
	}
	r.logouts = append(r.logouts, names)
}

// unmatched are the back-channels' names of which no session is known to have one.
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

// logUnmatched runs when all handlers are there.
func (r *logoutRealms) logUnmatched(logger *zap.Logger) {
	for _, names := range r.unmatched() {
		logger.Warn("a back-channel logout belongs to no app_session: it ends no session, unless answers of introspect name its issuer. Write its issuer as `realm` of the app_session, or the same realm in both",
			zap.Strings("realms", names))
	}
}
