// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// errOtherUser is the cause of a reply that is about somebody else. It names nobody.
var errOtherUser = errors.New("the one-time token is another user's, or another application's")

// bind refuses a reply whose account is not the person's for whom the widget was
// opened: they may have posted somebody else's one-time token.
func (p *Provider) bind(ctx context.Context, r *reply, user string) error {
	// What the reply names is compared whatever the binding is.
	missing, err := p.compare(r.echo, user)
	if err != nil {
		return err
	}
	switch p.config.Binding {
	case BindingNone:
		return nil
	case BindingVerify:
		return p.verify(ctx, r, user)
	}
	if missing != "" {
		return unbound(fmt.Errorf("the answer of exchange_url does not name %s, so that it may be anybody's: use binding verify if an address of the platform says whose an access token is, or binding none and read what that means", missing))
	}
	return nil
}

// compare compares those of client and user that an answer names. It returns the
// first that is missing.
func (p *Provider) compare(all map[string]any, user string) (missing string, err error) {
	for _, want := range []field{{p.config.Names.Client, p.config.ClientID}, {p.config.Names.User, user}} {
		value := all[want.name]
		if value == nil {
			if missing == "" {
				missing = want.name
			}
			continue
		}
		got, ok := identifier(value)
		if !ok || subtle.ConstantTimeCompare([]byte(got), []byte(want.value)) != 1 {
			return "", delegation.Refuse(delegation.AccountConflict, errOtherUser).WithMessage("This connection was made for another user. Begin anew.")
		}
	}
	return missing, nil
}

// verify asks the platform with the new access token whose it is.
func (p *Provider) verify(ctx context.Context, r *reply, user string) error {
	c := &Credential{token: &accessToken{access: r.access}, place: p.config.TokenIn}
	a, err := p.get(ctx, p.config.VerifyURL, c)
	if err != nil {
		return unreachable("verify_url", err)
	}
	if a.status/100 != 2 {
		refusal := delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("verify_url: status %d for a new access token: check the address and token_in", a.status))
		refusal.RetryAfter = a.retryAfter
		return refusal
	}
	all, err := a.members()
	if err != nil {
		return delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("verify_url: %w", err))
	}
	if _, err := p.compare(all, user); err != nil {
		return err
	}
	if all[p.config.Names.User] == nil {
		return unbound(fmt.Errorf("the answer of verify_url does not name %s, so that it may be anybody's: see names user", p.config.Names.User))
	}
	if value := all[p.config.Names.Account]; value != nil {
		if account, _ := identifier(value); account != r.account {
			return delegation.Refuse(delegation.AccountConflict, errors.New("the answers of exchange_url and verify_url are about two accounts"))
		}
	}
	return nil
}

// unbound is the refusal of an answer that does not say whose it is. It is the
// operator's to mend.
func unbound(cause error) *delegation.Refusal {
	return delegation.Refuse(delegation.CredentialsRejected, cause).
		WithMessage("The platform does not say whose data this is. The operator of this service has to act.")
}
