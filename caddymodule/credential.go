// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"reflect"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Authorize is the guest's, and returns a credential or an error: a request
// with neither would be sent as nobody.
func (p *provider) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	return p.given(p.Provider.Authorize(ctx, d))
}

// Renew is the guest's, with the same promise.
func (p *provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	return p.given(p.Provider.Renew(ctx, d, stale))
}

// IssueToken is the guest's, with the same promise.
func (p *provider) IssueToken(ctx context.Context, d *delegation.Delegation, keep func(*delegation.Token) bool) (*delegation.Token, error) {
	issuer, ok := p.Provider.(delegation.TokenIssuer)
	if !ok {
		return nil, noCredential(p.name)
	}
	token, err := issuer.IssueToken(ctx, d, keep)
	if err == nil && (token == nil || token.Access.Reveal() == "") {
		err = noCredential(p.name)
	}
	return token, err
}

func (p *provider) given(c delegation.Credential, err error) (delegation.Credential, error) {
	if err == nil && missing(c) {
		err = noCredential(p.name)
	}
	return c, err
}

// missing tells whether a credential is none, a nil pointer included.
func missing(c delegation.Credential) bool {
	if c == nil {
		return true
	}
	switch v := reflect.ValueOf(c); v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan, reflect.Interface:
		return v.IsNil()
	default:
		return false
	}
}

func noCredential(provider string) *delegation.Refusal {
	return delegation.Refuse(delegation.NotDelegated, fmt.Errorf("provider %s returned neither a credential nor an error: its module is at fault", provider))
}
