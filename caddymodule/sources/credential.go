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
	return c.Credential.Apply(out)
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
