// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
)

// status returns the provider's state on this machine.
func (p *provider) status() status.Provider {
	s := status.Provider{Kind: p.kind(), PurgeScope: "machine", Refusals: p.refusals.status(), Engine: status.NewEngine(p.state.tokens.Status())}
	if s.Shared != nil {
		s.PurgeScope = "fleet"
	}
	for name, c := range p.clients {
		if name == "" {
			continue
		}
		source := status.NewEngine(c.engine.tokens.Status())
		source.Shared = nil // it is the provider's
		if s.Sources == nil {
			s.Sources = make(map[string]status.Engine)
		}
		s.Sources[name] = source
	}
	return s
}

// status answers GET /delegate/status with the [status.Status] of the running
// configuration.
func (adminAPI) status(w http.ResponseWriter, r *http.Request) error {
	app, err := activeApp(w, r, http.MethodGet)
	if err != nil {
		return err
	}
	s := status.Status{
		Providers:    make(map[string]status.Provider),
		Grants:       app.grantsStatus(r.Context()),
		Files:        app.filesStatus(),
		Certificates: app.certificates(),
	}
	for name, p := range app.providers {
		s.Providers[name] = p.status()
	}
	if sessions := app.refusals.status(); len(sessions.Refused) > 0 || sessions.EverybodyRefused != "" {
		s.Sessions = &sessions
	}
	s.Judge(time.Now(), mendOf)
	return writeJSON(w, http.StatusOK, s)
}
