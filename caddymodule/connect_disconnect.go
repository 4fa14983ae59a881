// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
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
// one that fails does not spare the others.
func (v *connectRequest) deleteConsents() error {
	var failed []error
	for _, s := range v.selected() {
		if err := v.deleteConsent(s); err != nil {
			failed = append(failed, err)
		}
	}
	v.purgePerson(v.owner)
	return errors.Join(failed...)
}

// deleteConsent deletes what one source has of the person, and records it. Where all
// sources are meant, those that have nothing are not recorded.
func (v *connectRequest) deleteConsent(s *connectSource) error {
	recorded := v.source != nil
	if !recorded {
		status, _, err := s.consents.State(v.r.Context(), v.owner)
		recorded = err != nil || status != delegation.ConsentNone
	}
	untold, err := s.consents.Leave(v.r.Context(), v.owner)
	if err != nil {
		return err
	}
	if untold != nil {
		v.provider.logger.Warn("a vendor could not be told that a user has left", append([]zap.Field{
			zap.String("provider", v.provider.name), sourceField(s.name), zap.String("cause", delegation.Explain(untold)),
		}, v.provider.subjectFields.of(v.owner)...)...)
	}
	if recorded {
		v.provider.recordConsent(consentDisconnected, actorUser, s.name, v.owner)
	}
	return nil
}
