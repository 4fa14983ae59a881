// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// protocol is the part of a source that depends on how its people consent. There is
// one for OAuth 2.0, with SMART, and one for OAuth 1.0a. It is safe for concurrent
// use. Errors are a [*delegation.Refusal].
type protocol interface {
	// hooks carry out the source's consents, see [delegation.Source.Hooks].
	hooks() delegation.ConsentStarter

	// open takes what the host provides for the source. It does not touch the
	// network, and is called once, before everything below.
	open(h sourceHost)

	// credential returns the credential of a request whose person has the grant g,
	// and whose scopes g covers. It sets d.Cached. d.Participant is set already.
	credential(ctx context.Context, d *delegation.Delegation, g *delegation.Grant) (delegation.Credential, error)

	// renew returns another credential than stale, which is one of credential or
	// renew and which the vendor's API does not accept any more.
	renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error)

	// diagnose returns what to answer to a request whose credential was not
	// accepted, nor the one of renew after it, which is refused; nil if that is
	// not known. It suspends the grant of a person who has revoked it.
	diagnose(ctx context.Context, d *delegation.Delegation, refused delegation.Credential) *delegation.Refusal

	// reserved returns the addresses that are ours alone, such as the token
	// endpoint: no request of an app may go there. They may have to be asked for.
	reserved(ctx context.Context) ([]reservedAddress, error)

	// checks are the steps of `caddy delegate check`, without a person.
	checks() []delegation.CheckStep

	// page returns the vendor's page where people consent, with the parameters of a
	// request that leads to nothing.
	page(ctx context.Context) (*url.URL, url.Values, error)
}

// sourceHost is what the host provides for one source.
type sourceHost struct {
	grants delegation.Grants
	logger *zap.Logger
	// client makes calls to the vendor. It follows no redirect, and reaches private
	// networks only if the source may.
	client *http.Client
	// tokens returns the source's token engine, see [delegation.Host.SourceTokens].
	tokens func(delegation.Mint) delegation.Tokens
	// retain is [delegation.Host.RetainShared].
	retain func(key string, build func() io.Closer) io.Closer
}

// newProtocol returns the protocol of a source.
func newProtocol(c *Config) (protocol, error) {
	if c.Protocol == OAuth1 {
		return newOAuth1(c)
	}
	return newOAuth2(c)
}
