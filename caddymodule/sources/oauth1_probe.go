// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// ProbeGrant implements [delegation.ConsentProber]. A grant that is not suspended was
// issued a moment ago. A suspended one is tried by the address that says whose account it
// is, and if the source has none, by its next use.
func (p *oauth1Protocol) ProbeGrant(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	if !g.Suspended || p.config.probeURL() == nil {
		return delegation.ProbeAccepted
	}
	p.readSecret()
	return p.probe(ctx, g)
}

// probe asks the vendor whether it accepts a token, once more if it is the timestamp
// that it does not.
func (p *oauth1Protocol) probe(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	for last := false; ; last = true {
		a, err := p.getAs(ctx, p.config, p.config.probeURL(), p.signerOf(g))
		if err != nil {
			return delegation.ProbeUnknown
		}
		problem := oauth1.ProblemIn(a.header, a.body)
		switch {
		case a.status/100 == 2 && p.config.APIRefused.matches(a.body):
			return delegation.ProbeRefused
		case a.status/100 == 2 && !a.isHTML:
			return delegation.ProbeAccepted
		case p.correctClock(a.header, problem) && !last:
			continue
		case problem.Kind() == oauth1.TokenFault, a.status == http.StatusUnauthorized && problem == "":
			return delegation.ProbeRefused
		default:
			return delegation.ProbeUnknown
		}
	}
}

// diagnose implements [protocol]. The vendor has refused two signatures of one token.
// The grant is suspended if it says that the token is to blame. If it does not say, the
// probe has to be refused as well, or, where there is none, no other route may have
// accepted the token a moment ago; and the vendor still has to accept the client,
// whose changed secret would otherwise have everybody connect anew.
func (p *oauth1Protocol) diagnose(ctx context.Context, _ *delegation.Delegation, refused delegation.Credential) *delegation.Refusal {
	c, ok := refused.(*signedCredential)
	if !ok {
		return nil
	}
	switch c.problem.Kind() {
	case oauth1.TokenFault:
		return p.grants.Suspend(ctx, c.grant)
	case oauth1.ClientFault:
		return delegation.Refuse(delegation.CredentialsRejected, fmt.Errorf("the API does not accept the signature: %w: check client_id, client_secret and signature", c.problem))
	case oauth1.Unknown:
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, delegation.DefaultTimeout)
	defer cancel()
	if p.config.probeURL() != nil {
		if p.probe(ctx, c.grant) != delegation.ProbeRefused {
			return nil
		}
	} else if at := c.accepted.Load(); at != nil && *at != c.path {
		return nil
	}
	if err := p.checkClient(ctx); err != nil {
		if r := delegation.AsRefusal(err); r.Code == delegation.CredentialsRejected {
			return r
		}
		return nil
	}
	return p.grants.Suspend(ctx, c.grant)
}
