// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// probeURL returns an address that every token may read; nil if none is known.
func (p *oauth1Protocol) probeURL() *url.URL {
	for _, l := range []*Lookup{p.config.Account, p.config.Label} {
		for ; l != nil; l = l.Or {
			if l.In == InAnswer {
				return l.URL
			}
		}
	}
	return nil
}

// ProbeGrant implements [delegation.ConsentProber]: it reads the address that says whose
// account it is, if the source has one.
func (p *oauth1Protocol) ProbeGrant(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	p.readSecret()
	address := p.probeURL()
	if address == nil || g.Tokens.Access.Reveal() == "" {
		return delegation.ProbeUnknown
	}
	for last := false; ; last = true {
		res, _, err := p.get(ctx, address, tokenOf(g))
		if err != nil {
			return delegation.ProbeUnknown
		}
		problem := oauth1.ProblemOf(res)
		switch {
		case res.StatusCode/100 == 2:
			return delegation.ProbeAccepted
		case p.correctClock(res.Header, problem) && !last:
			continue // it says nothing of the token
		case problem.Kind() == oauth1.TokenFault, res.StatusCode == http.StatusUnauthorized && problem == "":
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
		return p.host.grants.Suspend(ctx, c.grant)
	case oauth1.ClientFault:
		return delegation.Refuse(delegation.CredentialsRejected, fmt.Errorf("the API does not accept the signature: %s: check client_id, client_secret and signature", c.problem))
	case oauth1.Unknown:
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, delegation.DefaultTimeout)
	defer cancel()
	if p.probeURL() != nil {
		if p.ProbeGrant(ctx, c.grant) != delegation.ProbeRefused {
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
	return p.host.grants.Suspend(ctx, c.grant)
}

// checkClient asks for a request token that nobody will use: the vendor has to accept
// the client. A vendor that wants another oauth_callback than oob has accepted it.
func (p *oauth1Protocol) checkClient(ctx context.Context) error {
	var protocol []oauth1.Parameter
	if !p.config.CallbackAtAuthorize {
		protocol = []oauth1.Parameter{{Name: "oauth_callback", Value: "oob"}}
	}
	_, err := p.exchange(ctx, "request_token_url", p.config.RequestTokenURL, oauth1.Token{}, protocol...)
	if problem, ok := errors.AsType[oauth1.Problem](err); ok && problem.Kind() == oauth1.RequestFault {
		return nil
	}
	return err
}

// checks implements [protocol].
func (p *oauth1Protocol) checks() []delegation.CheckStep {
	return []delegation.CheckStep{{Name: "client", Run: func(ctx context.Context) (string, error) {
		p.readSecret()
		if err := p.checkClient(ctx); err != nil {
			return "", err
		}
		return "request_token_url answers with a request token", nil
	}}}
}

// oauth1Revoker are the hooks of a vendor that can be told that its user has left.
type oauth1Revoker struct{ *oauth1Protocol }

// RevokeGrant implements [delegation.GrantRevoker].
func (r oauth1Revoker) RevokeGrant(context.Context, *delegation.Grant) error {
	return delegation.Refuse(delegation.IssuerUnavailable, errors.New("revoke: not yet"))
}
