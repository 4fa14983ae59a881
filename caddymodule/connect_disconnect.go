// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// disconnect deletes the person's grant and flows, on all machines.
func (v *connectRequest) disconnect() error {
	if err := v.deleteConsent(); err != nil {
		return err
	}
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// disconnectByForm is disconnect for a page without script: a form cannot send
// DELETE, and its browser is sent on to the app's page.
func (v *connectRequest) disconnectByForm() error {
	if err := v.deleteConsent(); err != nil {
		return err
	}
	v.w.Header().Set("Location", v.returnPage.WithParameter(connectParameter, string(delegation.ConsentNone)))
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (v *connectRequest) deleteConsent() error {
	if err := v.consents.Disconnect(v.r.Context(), v.owner); err != nil {
		return err
	}
	v.provider.recordConsent(consentDisconnected, actorUser, "", v.owner)
	v.purgePerson(v.owner)
	return nil
}
