// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// DiagnoseUnauthorized implements [delegation.UnauthorizedDiagnoser]. The platform
// answers a missing scope and a member key that it does not accept in the same way.
// So a dataset is read that the member has opened: that takes no scope but the one
// that every token has. If it is refused too, the member has withdrawn, and the
// grant is suspended.
func (p *Provider) DiagnoseUnauthorized(ctx context.Context, d *delegation.Delegation, refused delegation.Credential) *delegation.Refusal {
	c, ok := refused.(*Credential)
	if !ok {
		return nil
	}
	grant, err := p.grants.Get(ctx, d.Person)
	if err != nil {
		return nil
	}
	decoded, err := decodedOf(grant)
	if err != nil || len(decoded.readable) == 0 || !decoded.member.equal(c.Member) {
		return nil
	}
	c = &Credential{Token: c.Token, Member: decoded.member, Placement: IdentityPlacement{style: Datasets, inPath: true}}
	status, err := p.readDataset(ctx, c, decoded.readable[0])
	if err != nil || status != http.StatusUnauthorized {
		return nil
	}
	if r := p.grants.Suspend(ctx, grant); r != nil {
		return delegation.Refuse(r.Code, errors.New("the platform does not accept the member's key any more"))
	}
	return nil
}

// ProbeGrant implements [delegation.ConsentProber]. A status other than 401 and those
// of success says nothing of the key.
func (p *Provider) ProbeGrant(ctx context.Context, g *delegation.Grant) delegation.ProbeResult {
	decoded, err := decodedOf(g)
	if err != nil || len(decoded.readable) == 0 {
		return delegation.ProbeUnknown // its first use tells
	}
	switch status, err := p.probeMember(ctx, decoded); {
	case err == nil && status/100 == 2:
		return delegation.ProbeAccepted
	case err == nil && status == http.StatusUnauthorized:
		return delegation.ProbeRefused
	default:
		return delegation.ProbeUnknown
	}
}

// probeMember reads a dataset that the member has opened, once more with a new token
// if the platform says 401 and the token at hand is older than minRenewAge. It
// returns the status.
func (p *Provider) probeMember(ctx context.Context, decoded *decodedGrant) (status int, err error) {
	c := &Credential{Member: decoded.member, Placement: IdentityPlacement{style: Datasets, inPath: true}}
	id := p.identity([]string{ScopeAll})
	if c.Token, _, err = p.tokens.Get(ctx, id); err != nil {
		return 0, err
	}
	status, err = p.readDataset(ctx, c, decoded.readable[0])
	if err == nil && status == http.StatusUnauthorized && time.Since(c.Token.Minted) > minRenewAge {
		if c.Token, err = p.tokens.Renew(ctx, id, c.Token); err != nil {
			return 0, err
		}
		status, err = p.readDataset(ctx, c, decoded.readable[0])
	}
	return status, err
}

// readDataset reads a dataset, and drops it. It returns the status.
func (p *Provider) readDataset(ctx context.Context, c *Credential, dataset string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, delegation.DefaultTimeout)
	defer cancel()
	query := url.Values{"dataset": {dataset}, "instance": {"0"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.config.APIURL+"/api/pds/pds/me.json?"+query.Encode(), nil)
	if err != nil {
		return 0, errors.New("the address cannot be made")
	}
	status, _, err = p.sendAndDiscard(req, c)
	return status, err
}
