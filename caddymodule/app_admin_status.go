// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// providerStatus is the state of a provider in GET /delegate/status. It names
// no person.
type providerStatus struct {
	// Kind is the name of the provider's module, such as mydex.
	Kind string `json:"kind"`

	// Ready is false while the issuer's breaker is not closed: tokens in memory
	// serve until they expire, and no new ones can be had. Reason is the code of
	// the refusals then.
	Ready  bool            `json:"ready"`
	Reason delegation.Code `json:"reason,omitempty"`

	// PurgeScope is machine or fleet: whose tokens a purge drops.
	PurgeScope string `json:"purge_scope"`

	// Refused are the numbers of requests refused in the last ten minutes, by
	// code.
	Refused map[delegation.Code]int `json:"refused,omitempty"`

	// EverybodyRefused is the code of the last twenty people's refusals, as long
	// as nobody was admitted since.
	EverybodyRefused delegation.Code `json:"everybody_refused,omitempty"`

	tokens.Status

	// Sources are the states of the engines of the provider's sources, by name.
	Sources map[string]sourceStatus `json:"sources,omitempty"`
}

// sourceStatus is the state of the token engine of a source. The fields are those
// of [providerStatus].
type sourceStatus struct {
	Ready  bool            `json:"ready"`
	Reason delegation.Code `json:"reason,omitempty"`

	tokens.Status
}

// sessionStatus is the state of the directives without a provider, of which
// app_session is one. The fields are those of [providerStatus].
type sessionStatus struct {
	Refused          map[delegation.Code]int `json:"refused"`
	EverybodyRefused delegation.Code         `json:"everybody_refused,omitempty"`
}

// status returns the provider's state on this machine.
func (p *provider) status() providerStatus {
	s := providerStatus{Kind: p.kind(), PurgeScope: "machine", Status: p.state.tokens.Status()}
	s.Refused, s.EverybodyRefused = p.refusals.status()
	s.Ready, s.Reason = s.Issuer.State == circuit.Closed, s.Issuer.Code
	if s.Shared != nil {
		s.PurgeScope = "fleet"
	}
	for name, c := range p.clients {
		if name == "" {
			continue
		}
		source := sourceStatus{Status: c.engine.tokens.Status()}
		source.Ready, source.Reason = source.Issuer.State == circuit.Closed, source.Issuer.Code
		source.Shared = nil // it is the provider's
		if s.Sources == nil {
			s.Sources = make(map[string]sourceStatus)
		}
		s.Sources[name] = source
	}
	return s
}

// status answers GET /delegate/status with the [providerStatus] of each
// provider by name, and the [sessionStatus] if anything was refused.
func (adminAPI) status(w http.ResponseWriter, r *http.Request) error {
	app, err := activeApp(w, r, http.MethodGet)
	if err != nil {
		return err
	}
	all := make(map[string]providerStatus)
	for name, p := range app.providers {
		all[name] = p.status()
	}
	answer := map[string]any{"providers": all}
	var sessions sessionStatus
	if sessions.Refused, sessions.EverybodyRefused = app.refusals.status(); len(sessions.Refused) > 0 {
		answer["sessions"] = sessions
	}
	return writeJSON(w, http.StatusOK, answer)
}
