// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The credential is a value of the provider's module, as [guestModule] is, and
// its panics are recovered as well: in the transport one would cut the
// connection, and net/http would log its text, which may hold a token.

// apply calls [delegation.Credential.Apply] for the request on the wire. A
// panic becomes the refusal not_delegated.
func (p *proxiedRequest) apply(out *http.Request) (err error) {
	defer refusePanic(&err)
	defer background.Recover("applying a credential", &err)
	return p.credential.Apply(out)
}

// stale calls [delegation.Credential.Stale]: whether the platform refused the
// credential. A public route has none, and its 401 is the platform's.
func (p *proxiedRequest) stale(res *http.Response) (stale bool, err error) {
	if p.delegation.Public {
		return res.StatusCode == http.StatusUnauthorized, nil
	}
	defer refusePanic(&err)
	defer background.Recover("reading an answer", &err)
	return p.credential.Stale(res), nil
}

// disclose returns the secrets that the credential put on the request and that
// must not stand in the response. Its error is the refusal not_delegated, also
// for a credential that is no [delegation.SecretLister].
func (p *proxiedRequest) disclose() (values []string, err error) {
	defer refusePanic(&err)
	defer background.Recover("disclosing a credential", &err)
	lister, ok := p.credential.(delegation.SecretLister)
	if !ok {
		return nil, delegation.Refuse(delegation.NotDelegated, errUndisclosed)
	}
	for _, secret := range lister.Secrets() {
		values = append(values, secret.Reveal())
	}
	return values, nil
}
