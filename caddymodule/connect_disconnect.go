// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// disconnect deletes the person's grant and flows, on all machines: those of one data
// source, or of all.
func (v *connectRequest) disconnect() error {
	pending, err := v.deleteConsents()
	if err != nil {
		return err
	}
	if pending {
		return writeJSON(v.w, http.StatusAccepted, map[string]string{"vendor": "pending"})
	}
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// disconnectByForm is disconnect for a page without script: a form cannot send
// DELETE, and its browser is sent on to the app's page.
func (v *connectRequest) disconnectByForm() error {
	if _, err := v.deleteConsents(); err != nil {
		return err
	}
	v.w.Header().Set("Location", v.afterFlow(string(delegation.ConsentNone)))
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// deleteConsents deletes what the selected sources have of the person. Of several,
// one that fails does not spare the others, nor does one whose vendor hangs. pending
// reports that a vendor is told later, because it could not be told now.
func (v *connectRequest) deleteConsents() (pending bool, err error) {
	sources := v.selected()
	failed := make([]error, len(sources))
	later := make([]bool, len(sources))
	var all sync.WaitGroup
	for i, s := range sources {
		background.GoIn(&all, "disconnecting", func() {
			failed[i] = background.Do("disconnecting", func() (err error) { later[i], err = v.deleteConsent(s); return err })
		})
	}
	all.Wait()
	if v.source == nil {
		v.purgePerson(v.owner) // also if nothing was left: the purge of a first try may have failed
	}
	return slices.Contains(later, true), errors.Join(failed...)
}

// deleteConsent deletes what one source has of the person, here and in the memory of
// all machines, and records it; only then its vendor is told. Where all sources are
// meant, those that have nothing are not recorded.
func (v *connectRequest) deleteConsent(s *connectSource) (pending bool, err error) {
	withdrawn, err := s.consents.Withdraw(v.r.Context(), v.owner)
	if err != nil {
		v.purgePerson(v.owner) // it may be deleted all the same
		return false, err
	}
	if v.source != nil || withdrawn.HadConsent {
		v.purgePerson(v.owner)
		v.provider.recordConsent(consentDisconnected, actorUser, s.name, v.owner)
	}
	_ = withdrawn.RevokeGrants(v.r.Context()) // is recorded by recordRevocation
	return withdrawn.IsPending(), nil
}
