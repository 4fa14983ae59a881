// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// probeURL returns the address that every access token may read; nil if none is known.
func (c *Config) probeURL() *url.URL {
	for l := c.Account; l != nil; l = l.Or {
		if l.In == InAnswer {
			return l.URL
		}
	}
	return nil
}

// ProbeGrant implements [delegation.ConsentProber]. A grant that is not suspended was
// issued a moment ago. A suspended one with a refresh token is tried by spending that,
// see [oauth2Source.RefreshGrant]; without, by its access token, and if no address is
// known that every token may read, by its next use.
func (p *oauth2Source) ProbeGrant(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	switch {
	case !g.Suspended:
		return delegation.ProbeAccepted
	case g.Tokens.Refresh.Reveal() != "":
		return delegation.ProbeUnknown
	case !isUsable(g):
		return delegation.ProbeRefused
	case p.config.probeURL() == nil:
		return delegation.ProbeAccepted
	default:
		return p.probe(ctx, g)
	}
}

func (p *oauth2Source) probe(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	a, err := p.getAs(ctx, p.config, p.config.probeURL(), bearer(g.Tokens.Access))
	switch {
	case err != nil:
		return delegation.ProbeUnknown
	case a.status/100 == 2 && p.config.APIRefused.matches(a.body):
		return delegation.ProbeRefused
	case a.status/100 == 2 && !a.isHTML:
		return delegation.ProbeAccepted
	case a.status == http.StatusUnauthorized:
		return delegation.ProbeRefused
	default:
		return delegation.ProbeUnknown
	}
}
