// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// probeURL is the address that every access token may read; empty if none is known.
func (p *Provider) probeURL() string {
	if p.config.ProbePath != "" {
		return p.config.APIURL + p.config.ProbePath
	}
	return p.config.VerifyURL
}

// ProbeGrant implements [delegation.ConsentProber]: it reads probe_path, or else
// verify_url.
func (p *Provider) ProbeGrant(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	token, err := of(g)
	if err != nil {
		return delegation.ProbeUnknown
	}
	return p.probe(ctx, token)
}

func (p *Provider) probe(ctx context.Context, token *accessToken) delegation.ProbeResult {
	address := p.probeURL()
	if address == "" {
		return delegation.ProbeUnknown
	}
	a, err := p.get(ctx, address, &Credential{token: token, place: p.config.TokenIn})
	switch {
	case err != nil:
		return delegation.ProbeUnknown
	case a.status/100 == 2 && !a.isHTML:
		return delegation.ProbeAccepted
	case a.status == http.StatusUnauthorized:
		return delegation.ProbeRefused
	default:
		return delegation.ProbeUnknown
	}
}

// DiagnoseUnauthorized implements [delegation.UnauthorizedDiagnoser]. The platform
// has refused the same access token twice. Where it can be asked elsewhere, it is.
// Otherwise the token is taken for revoked unless it was accepted by another route a
// moment ago. The grant of a revoked token is suspended.
func (p *Provider) DiagnoseUnauthorized(ctx context.Context, _ *delegation.Delegation, refused delegation.Credential) *delegation.Refusal {
	c, ok := refused.(*Credential)
	if !ok {
		return nil
	}
	if p.probeURL() != "" {
		ctx, cancel := context.WithTimeout(ctx, delegation.DefaultTimeout)
		defer cancel()
		if p.probe(ctx, c.token) != delegation.ProbeRefused {
			return nil
		}
	} else if at := c.token.acceptedAt.Load(); at != nil && *at != c.path {
		return nil
	}
	return p.grants.Suspend(ctx, c.token.grant)
}
