// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
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
	if err != nil || len(h.reads) == 0 || !h.member.same(c.Member) {
		return nil
	}
	c = &Credential{Token: c.Token, Member: h.member, Place: Placement{style: Datasets, inPath: true}}
	status, err := p.probe(ctx, c, h.reads[0])
	if err != nil || status != http.StatusUnauthorized || !p.members.mayPutAside(d.Person) {
		return nil
	}
	store, err := p.opener.Store(ctx)
	if err != nil {
		return nil
	}
	done, err := store.Suspend(ctx, h.grant)
	if err != nil {
		return nil
	}
	p.members.drop(d.Person)
	if done {
		p.keeper.Note(delegation.ConsentSuspended, d.Person)
	} else if _, err := p.member(ctx, d.Person); err == nil {
		return nil // they have consented anew meanwhile
	}
	return delegation.Refuse(delegation.ConsentRequired, errors.New("the platform does not accept the member's key any more"))
}

const (
	// resumeAfter is how long a grant is left alone that the platform did not
	// accept. Then it is tried again: it may have been the platform.
	resumeAfter = 10 * time.Minute
	// retryAfter is the same where the platform could not say.
	retryAfter = 30 * time.Second
)

// resume tries a suspended grant again, and returns it if it is accepted.
// Otherwise the error is [grants.ErrNone].
func (p *Provider) resume(ctx context.Context, store *grants.Store, g *grants.Grant) (*grants.Grant, error) {
	if time.Since(g.Changed) < resumeAfter {
		return nil, grants.ErrNone
	}
	h, err := hold(g)
	if err != nil || len(h.reads) == 0 || !p.members.mayTry(g.Person) {
		return nil, grants.ErrNone
	}
	status, err := p.try(ctx, h)
	if err != nil || status/100 != 2 && status != http.StatusUnauthorized {
		return nil, grants.ErrNone // nothing is said of the key
	}
	now, err := store.Resume(ctx, g, status/100 == 2)
	if err == nil {
		p.keeper.Note(delegation.ConsentResumed, g.Person)
	}
	if !errors.Is(err, grants.ErrNone) {
		return now, err
	}
	// It is not accepted; or another machine was first.
	if now, err = store.Find(ctx, g.Owner); err == nil && now.State != grants.Active {
		err = grants.ErrNone
	}
	return now, err
}

// try reads a dataset that the member has opened, with a new token if that at
// hand may be too old.
func (p *Provider) try(ctx context.Context, h *held) (status int, err error) {
	c := &Credential{Member: h.member, Place: Placement{style: Datasets, inPath: true}}
	id := p.identity([]string{ScopeAll})
	if c.Token, _, err = p.tokens.Get(ctx, id); err != nil {
		return 0, err
	}
	status, err = p.probe(ctx, c, h.reads[0])
	if err == nil && status == http.StatusUnauthorized && time.Since(c.Token.Minted) > youngToken {
		if c.Token, err = p.tokens.Renew(ctx, id, c.Token); err != nil {
			return 0, err
		}
		status, err = p.probe(ctx, c, h.reads[0])
	}
	return status, err
}

// probe reads a dataset, and throws it away.
func (p *Provider) probe(ctx context.Context, c *Credential, dataset string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, delegation.DefaultTimeout)
	defer cancel()
	query := url.Values{"dataset": {dataset}, "instance": {"0"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.config.APIURL+"/api/pds/pds/me.json?"+query.Encode(), nil)
	if err != nil {
		return 0, errors.New("the address cannot be made")
	}
	status, _, err = p.send(req, c)
	return status, err
}
