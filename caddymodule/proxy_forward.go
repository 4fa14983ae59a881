// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// passOn runs the handlers behind delegate, and answers where reverse_proxy has
// failed.
func (p *proxiedRequest) passOn(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// A copy with only what may cross, so that whatever the operator's own
	// header_up adds behind this handler can be told from what the client sent.
	out := r.WithContext(p.withContext(r.Context()))
	out.Header = p.header
	defer p.countOutcome()
	pages := p.forErrorPages(w, r)
	err := next.ServeHTTP(pages, out)
	if p.outcome.label == "" && r.Context().Err() != nil {
		p.outcome.label = outcomeClientLeft
	}
	if refusal := p.outcome.refusal(r, err); refusal != nil {
		if err := p.refuse(w, r.WithContext(p), refusal); err != nil {
			return err
		}
		// For Caddy's log of errors, which bears that the response is written.
		return caddyhttp.Error(refusal.Status(), refusal)
	}
	if err == nil {
		err = caughtRefusal(pages)
	}
	return err
}

// countOutcome counts the request once it has come back.
func (p *proxiedRequest) countOutcome() {
	switch label := p.outcome.label; label {
	case outcomeForwarded:
		p.counters().forwarded.Inc()
		p.recordAdmission()
	case "":
		p.counters().answered.Inc()
	default:
		countRequest(p.provider.name, p.delegation.Source, label)
		switch {
		case label == outcomeWebSocket:
			p.recordAdmission()
		case p.refusal != nil && label == string(p.refusal.Code):
			stats := p.provider.refusals
			stats.recordRefused(p.refusal, stats.personDigest(p.delegation.Person), zap.String("provider", p.provider.name))
		}
	}
}

// counters are those of the request's source, or of its provider.
func (p *proxiedRequest) counters() *hotCounters {
	if p.source != nil {
		return &p.source.counters
	}
	return &p.provider.counters
}

// recordAdmission notes that somebody was let in. Public routes are open to
// anybody.
func (p *proxiedRequest) recordAdmission() {
	if !p.delegation.Public {
		p.provider.refusals.recordAdmission()
	}
}
