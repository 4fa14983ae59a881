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
	cached, err := p.cachedOrRead(ctx, d.Person)
	if err != nil || len(cached.readable) == 0 || !cached.member.equal(c.Member) {
		return nil
	}
	c = &Credential{Token: c.Token, Member: cached.member, Placement: IdentityPlacement{style: Datasets, inPath: true}}
	status, err := p.readDataset(ctx, c, cached.readable[0])
	if err != nil || status != http.StatusUnauthorized || !p.grantCache.maySuspend(d.Person) {
		return nil
	}
	store, err := p.lazyStore.Store(ctx)
	if err != nil {
		return nil
	}
	done, err := store.Suspend(ctx, cached.grant, "refused")
	if err != nil {
		return nil
	}
	p.grantCache.drop(d.Person)
	if done {
		p.storeHost.RecordConsentEvent(delegation.ConsentSuspended, d.Person)
	} else if _, err := p.cachedOrRead(ctx, d.Person); err == nil {
		return nil // the member has consented anew meanwhile
	}
	return delegation.Refuse(delegation.ConsentRequired, errors.New("the platform does not accept the member's key any more"))
}

const (
	// probeSuspendedAfter is how long a suspended grant is left alone. Then it is
	// probed: it may have been the platform's fault.
	probeSuspendedAfter = 10 * time.Minute
	// probeRetryAfter is the same after a probe that has told nothing of the key.
	probeRetryAfter = 30 * time.Second
)

// probeSuspended probes a suspended grant, and returns it if it is accepted.
// Otherwise the error is [grants.ErrNotFound].
func (p *Provider) probeSuspended(ctx context.Context, store *grants.Store, g *grants.Grant) (*grants.Grant, error) {
	if time.Since(g.Changed) < probeSuspendedAfter {
		return nil, grants.ErrNotFound
	}
	cached, err := decodeGrant(g)
	if err != nil || len(cached.readable) == 0 || !p.grantCache.mayProbe(g.Person) {
		return nil, grants.ErrNotFound
	}
	status, err := p.probeGrant(ctx, cached)
	if err != nil || status/100 != 2 && status != http.StatusUnauthorized {
		return nil, grants.ErrNotFound // the answer says nothing of the key
	}
	now, err := store.Resume(ctx, g, status/100 == 2)
	if err == nil {
		p.storeHost.RecordConsentEvent(delegation.ConsentResumed, g.Person)
	}
	if !errors.Is(err, grants.ErrNotFound) {
		return now, err
	}
	// The key is not accepted; or another machine was first.
	if now, err = store.Find(ctx, g.Owner); err == nil && now.State != grants.Active {
		err = grants.ErrNotFound
	}
	return now, err
}

// probeGrant reads a dataset that the member has opened, once more with a new token
// if the platform says 401 and the token at hand is older than minRenewAge. It
// returns the status.
func (p *Provider) probeGrant(ctx context.Context, cached *cachedGrant) (status int, err error) {
	c := &Credential{Member: cached.member, Placement: IdentityPlacement{style: Datasets, inPath: true}}
	id := p.identity([]string{ScopeAll})
	if c.Token, _, err = p.tokens.Get(ctx, id); err != nil {
		return 0, err
	}
	status, err = p.readDataset(ctx, c, cached.readable[0])
	if err == nil && status == http.StatusUnauthorized && time.Since(c.Token.Minted) > minRenewAge {
		if c.Token, err = p.tokens.Renew(ctx, id, c.Token); err != nil {
			return 0, err
		}
		status, err = p.readDataset(ctx, c, cached.readable[0])
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
