// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// credential is that of the source's protocol, with the headers that the vendor wants
// on every data call, such as a subscription's key.
type credential struct {
	delegation.Credential
	headers map[string]delegation.Secret
	refused *APIRefused
}

// Apply implements [delegation.Credential]. What a client has sent by the name of one
// of the headers is dropped, in the spellings that servers read as that name. The
// protocol's credential is put on last: it may sign the request.
func (c *credential) Apply(out *http.Request) error {
	for name, value := range c.headers {
		for sent := range out.Header {
			if headers.EnvironmentName(sent) == headers.EnvironmentName(name) {
				delete(out.Header, sent)
			}
		}
		out.Header[http.CanonicalHeaderKey(name)] = []string{value.Reveal()}
	}
	if c.refused != nil {
		// A compressed answer cannot be looked at.
		out.Header["Accept-Encoding"] = []string{"identity"}
	}
	return c.Credential.Apply(out)
}

// Stale implements [delegation.Credential]: it reports whether the answer refuses the
// token by its status or, where the vendor has another way, in its body.
func (c *credential) Stale(res *http.Response) bool {
	return c.refused.in(res) || c.Credential.Stale(res)
}

// Secrets implements [delegation.SecretLister].
func (c *credential) Secrets() []delegation.Secret {
	var all []delegation.Secret
	for _, value := range c.headers {
		all = append(all, value)
	}
	if lister, ok := c.Credential.(delegation.SecretLister); ok {
		all = append(all, lister.Secrets()...)
	}
	return all
}
