// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// The values of "by" in the log of consents.
const (
	actorUser     = "user"
	actorOperator = "operator"
	actorPlatform = "platform"
	actorSchedule = "schedule"
)

// The events of consents that delegate_connect records; providers record further
// ones.
const (
	consentBegun            delegation.ConsentEvent = "begun"
	consentAnswered         delegation.ConsentEvent = "told"
	consentConnected        delegation.ConsentEvent = "connected"
	consentRefused          delegation.ConsentEvent = "refused"
	consentConflict         delegation.ConsentEvent = "conflict"
	consentDisconnected     delegation.ConsentEvent = "forgotten"
	consentEnded            delegation.ConsentEvent = "ended"
	consentNotification     delegation.ConsentEvent = "notification"
	consentOther            delegation.ConsentEvent = "other"
	consentCallbackRejected delegation.ConsentEvent = "not_taken"
)

// recordConsent counts an event of a person's consent, and logs it for the
// operator's audit. source is empty for a provider without sources.
func (p *providerRecord) recordConsent(what delegation.ConsentEvent, by, source string, who delegation.Person) {
	consentsTotal.WithLabelValues(p.name, source, string(what)).Inc()
	p.logger.Info("consent", append([]zap.Field{
		zap.String("provider", p.name), sourceField(source), zap.String("event", string(what)), zap.String("by", by),
	}, p.subjectFields.of(who)...)...)
}

// sourceField names a source in log lines; nothing for a provider without any.
func sourceField(source string) zap.Field {
	if source == "" {
		return zap.Skip()
	}
	return zap.String("source", source)
}

// recordCallbackKind records a callback. It does not say whose it is: that is known
// when the browser returns.
func (p *providerRecord) recordCallbackKind(word delegation.CallbackKind) {
	event := consentOther
	switch word {
	case delegation.CallbackConsent:
		event = consentAnswered
	case delegation.CallbackNotification:
		event = consentNotification
	}
	p.recordConsent(event, actorPlatform, "", delegation.Person{})
}

// startConsent begins a consent flow for a source. by is the actor for the log.
func (c *Connect) startConsent(ctx context.Context, source *connectSource, flow grants.StartRequest, by string) (*grants.Started, error) {
	flow.ReturnURL = c.baseURL.String() + source.endpointPath(returnPath)
	if flow.AnyBrowser || flow.Ticket && flow.Then == "" {
		flow.Lifetime, flow.BrowserToken = time.Duration(c.CrossDevice), delegation.Secret{}
	}
	started, err := source.consents.Start(ctx, flow)
	if err != nil {
		return nil, err
	}
	c.provider.recordConsent(consentBegun, by, source.name, flow.Person)
	if ticket := started.Ticket.Reveal(); ticket != "" {
		c.provider.ticketLimiter.recordIssued(ticket, started.Expires)
	}
	return started, nil
}

// startResponse is the body that answers the start of a flow: the platform's page
// as a URL and, if it has one, as an image for a QR code, the address of a ticket, or
// else what the platform's widget needs; where a native app hands over what it gets;
// and how many seconds there are.
func (c *Connect) startResponse(source *connectSource, started *grants.Started) map[string]any {
	answer := make(map[string]any)
	ticket := started.Ticket.Reveal()
	if page := started.Page; ticket != "" && c.hasSources() {
		answer["url"] = c.baseURL.String() + goPath + "/" + sourceToken(source.name, ticket)
	} else if page.URL != "" {
		answer["url"] = page.URL
		if page.QR != "" {
			answer["qr"] = page.QR
		}
	} else {
		for name, value := range page.Widget {
			answer[name] = value
		}
	}
	if ticket != "" && !c.hasSources() {
		answer["redeem_url"] = c.baseURL.String() + redeemPath + "/" + ticket
	}
	answer["expires_in"] = int(time.Until(started.Expires).Seconds())
	return answer
}
