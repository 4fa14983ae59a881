// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Examine implements [delegation.Examiner]. The platform says the same of a
// scope that is missing and of a member key that it does not accept. So a
// dataset is read that the member has opened: that takes no scope but the one
// that every token has. If it is refused too, the member has withdrawn.
func (p *Provider) Examine(ctx context.Context, d *delegation.Delegation, refused delegation.Credential) *delegation.Refusal {
	c, ok := refused.(*Credential)
	if !ok {
		return nil
	}
	h, err := p.member(ctx, d.Person)
	if err != nil || len(h.reads) == 0 || h.member != c.Member {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, delegation.DefaultTimeout)
	defer cancel()
	status, err := p.probe(ctx, &Credential{Token: c.Token, Member: h.member, Place: Placement{style: Datasets, inPath: true}}, h.reads[0])
	if err != nil || status != http.StatusUnauthorized {
		return nil
	}
	if store, err := p.members.grants(ctx); err != nil || store.Suspend(ctx, h.grant) != nil {
		return nil
	}
	p.members.drop(d.Person)
	return delegation.Refuse(delegation.ConsentRequired, errors.New("the platform does not accept the member's key any more"))
}

// probe reads a dataset, and throws it away.
func (p *Provider) probe(ctx context.Context, c *Credential, dataset string) (status int, err error) {
	query := url.Values{"dataset": {dataset}, "instance": {"0"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.config.APIURL+"/api/pds/pds/me.json?"+query.Encode(), nil)
	if err != nil {
		return 0, errors.New("the address cannot be made")
	}
	status, _, err = p.send(req, c)
	return status, err
}
