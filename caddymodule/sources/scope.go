// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkScopes refuses a request whose route needs a scope that the person's grant does
// not cover, as consent_required. A vendor that does not say what it has granted counts
// as one that has granted what was asked for.
func (s *source) checkScopes(d *delegation.Delegation, g *delegation.Grant) error {
	granted := g.Scopes
	if granted == nil {
		granted = s.config.Scopes
	}
	if len(s.config.Covers.Missing(granted, d.Scopes)) > 0 {
		r := delegation.Refuse(delegation.ConsentRequired, errors.New("the user has connected without a scope that the route needs"))
		r.RequiredScopes = d.Scopes
		return r
	}
	return nil
}
