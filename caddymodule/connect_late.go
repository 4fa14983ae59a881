// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// outcomeEvent returns the event of a flow that has ended: by its error, which is nil
// if it has led to a grant.
func outcomeEvent(err error) delegation.ConsentEvent {
	switch {
	case err == nil:
		return consentConnected
	case errors.Is(err, delegation.ErrConfirm):
		return consentAsked
	case delegation.AsRefusal(err).Code == delegation.AccountConflict:
		return consentConflict
	default:
		return consentRefused
	}
}

// lateOutcome returns the function that records how a flow has ended whose vendor was
// so slow that the browser was sent on before. The request has ended by then: nothing of
// it is touched.
func (v *connectRequest) lateOutcome() func(first bool, err error) {
	record, source, who := v.provider.providerRecord, v.source.name, v.owner
	ctx := delegation.Detach(v.r.Context())
	return func(first bool, err error) {
		if err != nil && !errors.Is(err, delegation.ErrConfirm) {
			record.logger.Warn("a vendor has answered after the browser was sent on, and the user is not connected: "+err.Error(),
				zap.String("provider", record.name), sourceField(source), zap.String("code", string(delegation.AsRefusal(err).Code)))
		}
		if first {
			record.recordConsent(outcomeEvent(err), actorUser, source, who)
			_ = v.provider.purge(ctx, delegation.Selection{Realm: who.Realm, Subject: who.Subject}, false, "connect")
		}
	}
}
