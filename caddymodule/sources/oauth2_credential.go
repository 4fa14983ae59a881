// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// grantBearer is a bearer token with the grant that it is of. It is of one request.
type grantBearer struct {
	delegation.Bearer
	grant    *delegation.Grant
	accepted *atomic.Pointer[string]

	path string // of the request that it was put on last
}

func newGrantBearer(t *delegation.Token, g *delegation.Grant) *grantBearer {
	return &grantBearer{Bearer: delegation.Bearer{Token: t}, grant: g, accepted: acceptedOf(g)}
}

// DecodeGrant implements [delegation.GrantDecoder], as that of OAuth 1.0a does.
func (p *oauth2Source) DecodeGrant(*delegation.Grant) (any, error) {
	return new(atomic.Pointer[string]), nil
}

// Apply implements [delegation.Credential].
func (c *grantBearer) Apply(out *http.Request) error {
	c.path = out.URL.Path
	return c.Bearer.Apply(out)
}

// Stale implements [delegation.Credential]. What is accepted is noted, see
// [oauth2Source.diagnose].
func (c *grantBearer) Stale(res *http.Response) bool {
	if res.StatusCode/100 == 2 {
		noteAccepted(c.accepted, c.path)
	}
	return c.Bearer.Stale(res)
}

// bearer returns the credential of an access token.
func bearer(access delegation.Secret) delegation.Bearer {
	return delegation.Bearer{Token: &delegation.Token{Access: access}}
}

// credential implements [protocol]: the grant's access token, or the next one if it is
// about to end.
func (p *oauth2Source) credential(ctx context.Context, d *delegation.Delegation, g *delegation.Grant) (delegation.Credential, error) {
	if isUsable(g) {
		d.Cached = true
		return newGrantBearer(tokenOf(g), g), nil
	}
	if g.Tokens.Refresh.Reveal() == "" {
		return nil, p.ended(ctx, g)
	}
	token, cached, err := p.engine.Get(ctx, p.identity(g))
	if err != nil {
		err = forClient(err)
		if delegation.AsRefusal(err).Status() < http.StatusInternalServerError || !time.Now().Before(g.Tokens.AccessExpires) {
			return nil, err
		}
		// While the vendor issues none the last one has to do.
		token, cached = tokenOf(g), true
	}
	d.Cached = cached
	return newGrantBearer(token, g), nil
}

// ended takes a grant out of use whose access token has ended, and which has nothing to
// get another one by. The person has to consent anew.
func (p *oauth2Source) ended(ctx context.Context, g *delegation.Grant) error {
	if r := p.grants.Suspend(ctx, g); r != nil {
		return r
	}
	return delegation.Refuse(delegation.ConsentRequired, errNoRefreshToken)
}

// forClient returns the error for a request. An invalid_grant that has not ended the
// grant yet is nothing about the person, and worth another try.
func forClient(err error) error {
	r := delegation.AsRefusal(err)
	if r.Code != delegation.DelegationRefused {
		return err
	}
	later := delegation.Refuse(delegation.IssuerUnavailable, r.Unwrap())
	later.RetryAfter = max(r.RetryAfter, secondLook)
	return later
}

// renew implements [protocol].
func (p *oauth2Source) renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	old, ok := stale.(*grantBearer)
	if !ok {
		return nil, delegation.Refuse(delegation.NotDelegated, errors.New("there is no credential of this source to renew"))
	}
	if old.grant.Tokens.Refresh.Reveal() == "" {
		// Its access token has no successor but that of the next consent. Without
		// one the second 401 of the same credential is looked into.
		g, newer, err := p.grants.GetNewer(ctx, old.grant)
		switch {
		case err != nil:
			return nil, err
		case !newer || g.Account != d.Participant:
			return old, nil
		}
		return newGrantBearer(tokenOf(g), g), nil
	}
	token, err := p.engine.Renew(ctx, p.identity(old.grant), old.Token)
	if err != nil {
		return nil, forClient(err)
	}
	return newGrantBearer(token, old.grant), nil
}

// diagnose implements [protocol]. The vendor has refused an access token that it has
// just issued, which says nothing of the consent; or one that has no successor, of a
// person who has probably ended the consent at the vendor: unless the probe is accepted,
// or, where there is none, another route has accepted the token a moment ago. Some
// vendors answer 401 for what is somebody else's.
func (p *oauth2Source) diagnose(ctx context.Context, _ *delegation.Delegation, refused delegation.Credential) *delegation.Refusal {
	c, ok := refused.(*grantBearer)
	if !ok || c.grant.Tokens.Refresh.Reveal() != "" {
		return nil
	}
	if u := p.config.probeURL(); u != nil {
		ctx, cancel := context.WithTimeout(ctx, delegation.DefaultTimeout)
		defer cancel()
		if p.probe(ctx, c.grant) != delegation.ProbeRefused {
			return nil // it is about the route
		}
	} else if at := c.accepted.Load(); at != nil && *at != c.path {
		return nil
	}
	return p.grants.Suspend(ctx, c.grant)
}
