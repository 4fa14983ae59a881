// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// disconnect deletes the person's grant and flows, on all machines: those of one data
// source, or of all.
func (v *connectRequest) disconnect() error {
	if err := v.deleteConsents(); err != nil {
		return err
	}
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// disconnectByForm is disconnect for a page without script: a form cannot send
// DELETE, and its browser is sent on to the app's page.
func (v *connectRequest) disconnectByForm() error {
	if err := v.deleteConsents(); err != nil {
		return err
	}
	v.w.Header().Set("Location", v.afterFlow(string(delegation.ConsentNone)))
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// deleteConsents deletes what the selected sources have of the person. Of several,
// one that fails does not spare the others, nor does one whose vendor hangs.
func (v *connectRequest) deleteConsents() error {
	sources := v.selected()
	failed := make([]error, len(sources))
	var all sync.WaitGroup
	for i, s := range sources {
		background.GoIn(&all, "disconnecting", func() {
			failed[i] = background.Do("disconnecting", func() error { return v.deleteConsent(s) })
		})
	}
	all.Wait()
	if v.source == nil {
		v.purgePerson(v.owner) // also if nothing was left: the purge of a first try may have failed
	}
	return errors.Join(failed...)
}

// deleteConsent deletes what one source has of the person, here and in the memory of
// all machines, and records it; only then its vendor is told. Where all sources are
// meant, those that have nothing are not recorded.
func (v *connectRequest) deleteConsent(s *connectSource) error {
	withdrawn, err := s.consents.Withdraw(v.r.Context(), v.owner)
	if err != nil {
		v.purgePerson(v.owner) // it may be deleted all the same
		return err
	}
	if v.source != nil || withdrawn.HadConsent {
		v.purgePerson(v.owner)
		v.provider.recordConsent(consentDisconnected, actorUser, s.name, v.owner)
	}
	v.revokeGrants(s, withdrawn)
	return nil
}

// revokeGrants has a source's vendor end what the person has withdrawn.
func (v *connectRequest) revokeGrants(s *connectSource, withdrawn *grants.Withdrawal) {
	if untold := withdrawn.RevokeGrants(v.r.Context()); untold != nil {
		// Without the person: they have left.
		v.provider.logger.Warn("a vendor could not be told that a user has left",
			zap.String("provider", v.provider.name), sourceField(s.name), zap.String("cause", delegation.Explain(untold)))
	}
}
