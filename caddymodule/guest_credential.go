// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A credential is the guest's as well. What panics in it is refused here: in
// the transport a panic would cut the connection, and Caddy log its text.

// apply is [delegation.Credential]'s.
func (p *proxiedRequest) apply(out *http.Request) (err error) {
	defer refusePanic(&err)
	defer background.Recover("applying a credential", &err)
	return p.credential.Apply(out)
}

// stale tells whether the upstream refused the credential.
func (p *proxiedRequest) stale(res *http.Response) (stale bool, err error) {
	if p.delegation.Public {
		return res.StatusCode == http.StatusUnauthorized, nil
	}
	defer refusePanic(&err)
	defer background.Recover("reading an answer", &err)
	return p.credential.Stale(res), nil
}

// disclose tells what of the credential must not be in the answer. The error is
// a refusal.
func (p *proxiedRequest) disclose() (values []string, err error) {
	defer refusePanic(&err)
	defer background.Recover("disclosing a credential", &err)
	disclosing, ok := p.credential.(delegation.SecretLister)
	if !ok {
		return nil, delegation.Refuse(delegation.NotDelegated, errUndisclosed)
	}
	for _, secret := range disclosing.Secrets() {
		values = append(values, secret.Reveal())
	}
	return values, nil
}
