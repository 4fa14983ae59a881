// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/ratelimit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// processRevocations are the revocations of this process, for all configurations: no
// reload must sign anybody in again who has signed out.
var processRevocations = session.NewRevocations()

// joinRevocations gives the app the revocations, and joins them with those of the other
// machines of the fleet.
func (a *App) joinRevocations() {
	a.revocations = processRevocations
	a.logoutLimiter = ratelimit.New()
	a.realmNames = new(realmNames)
	a.logoutRealms = new(logoutRealms)
	a.aliases = &aliasRegistry{byNamespace: make(map[string]*aliases)}
	if a.fleet != nil {
		a.sharedRevocations = a.fleet.JoinRevocations(processRevocations)
	}
}

// leaveRevocations ends what joinRevocations began. Requests may still use the app.
func (a *App) leaveRevocations() {
	if a.sharedRevocations != nil {
		a.sharedRevocations.Leave()
	}
}

// publishRevocations tells the other machines of revocations: now, or within a second. The
// error is that they cannot be told now; it is logged, and they are told as soon as they
// can be.
func (a *App) publishRevocations(ctx context.Context, now bool, targets ...session.RevocationTarget) error {
	switch {
	case a.sharedRevocations == nil || len(targets) == 0:
		return nil
	case now:
		return a.sharedRevocations.Publish(ctx, targets...)
	default:
		a.sharedRevocations.Enqueue(targets...)
		return nil
	}
}

// revokeSession revokes a user's session and the user's earlier ones, for all persons as
// whom it is used. It returns the targets whose revocation has changed.
func (a *App) revokeSession(user *signedInUser) (targets []session.RevocationTarget) {
	for _, person := range user.session.People() {
		targets = append(targets, a.revocations.Revoke(person)...)
	}
	user.forgetSession()
	return targets
}
