// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// oauth1Protocol is the protocol of a source whose people consent by the three legs of
// OAuth 1.0a (RFC 5849 section 2), and whose every request is signed. Its grants have
// the token in Tokens.Access and the token's secret in Secret.
type oauth1Protocol struct {
	sourceHost
	config *Config
	clock  *oauth1.Clock
	secret atomic.Pointer[delegation.Secret] // of the client, as it was read last
	ours   []reservedAddress                 // every data call is compared with them
}

// newOAuth1 returns the protocol of an OAuth 1.0a source.
func newOAuth1(c *Config) (protocol, error) {
	switch {
	case c.RequestTokenURL == nil || c.TokenURL == nil || c.AuthURL == nil:
		return nil, errors.New("OAuth 1.0a needs request_token_url, auth_url and access_token_url")
	case c.ClientID == "" || c.ClientSecret.Reveal() == "":
		return nil, errors.New("OAuth 1.0a needs client_id and client_secret: every request is signed with them")
	}
	if err := c.checkLookups(); err != nil {
		return nil, err
	}
	p := &oauth1Protocol{config: c, ours: c.reservedOAuth1()}
	p.secret.Store(&c.ClientSecret)
	return p, nil
}

// hooks implements [protocol]. A vendor that cannot be told that a user has left has
// no [delegation.GrantRevoker].
func (p *oauth1Protocol) hooks() delegation.ConsentStarter {
	if p.config.Revoke == nil {
		return p
	}
	return revokingOAuth1{p}
}

// open implements [protocol]. All sources with one client at one vendor share a
// clock, across reloads. A vendor that reads the query alone is FatSecret, or one like
// it: they refuse a timestamp lower than one that they have seen.
func (p *oauth1Protocol) open(h sourceHost) {
	p.sourceHost = h
	neverBack := p.config.SignatureInQuery
	key := fmt.Sprintf("oauth1 clock %q %q %t", hostPort(p.config.TokenURL), p.config.ClientID, neverBack)
	p.clock = h.retain(key, func() io.Closer { return &oauth1.Clock{NeverBack: neverBack} }).(*oauth1.Clock)
}

// reserved implements [protocol].
func (p *oauth1Protocol) reserved(context.Context) ([]reservedAddress, error) { return p.ours, nil }

// reservedOAuth1 returns the addresses that only this server may call.
func (c *Config) reservedOAuth1() []reservedAddress {
	all := c.reservedPaths()
	for _, u := range []*url.URL{c.RequestTokenURL, c.AuthURL, c.TokenURL} {
		if a, ok := reserve(u); ok {
			all = append(all, a)
		}
	}
	for _, call := range []*Call{c.AfterConnect, c.Revoke} {
		if a, ok := reserveCall(call); ok {
			all = append(all, a)
		}
	}
	return all
}

// client returns the client as it signs now.
func (p *oauth1Protocol) client() *oauth1.Client {
	return &oauth1.Client{
		ID: p.config.ClientID, Secret: *p.secret.Load(), Method: oauth1.Method(p.config.Signature),
		InQuery: p.config.SignatureInQuery, Clock: p.clock,
	}
}

// readSecret reads the client's secret again. Data calls sign with what was read
// last: a file is not read for each of them.
func (p *oauth1Protocol) readSecret() {
	if p.config.LoadSecret == nil {
		return
	}
	fresh, err := p.config.LoadSecret()
	if err != nil {
		p.logger.Warn("client_secret cannot be read; the one from before is used: "+err.Error(), zap.String("source", p.config.Name))
		return
	}
	p.secret.Store(&fresh)
}

// credential implements [protocol].
func (p *oauth1Protocol) credential(_ context.Context, d *delegation.Delegation, g *delegation.Grant) (delegation.Credential, error) {
	d.Cached = true // the exchange is long past
	return p.signed(g)
}

// signed returns the credential of a grant.
func (p *oauth1Protocol) signed(g *delegation.Grant) (*signedCredential, error) {
	if g.Tokens.Access.Reveal() == "" || g.Secret.Reveal() == "" {
		return nil, delegation.Refuse(delegation.GrantsUnavailable, errors.New("the grant is not one of OAuth 1.0a: the source had another protocol when the user connected"))
	}
	return &signedCredential{protocol: p, grant: g, accepted: acceptedOf(g)}, nil
}

// renew implements [protocol]. A token of OAuth 1.0a has no successor but that of the
// next consent: if there has been none, the same credential signs the request anew,
// with another timestamp, and perhaps another secret of the client.
func (p *oauth1Protocol) renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	c, ok := stale.(*signedCredential)
	if !ok {
		return nil, delegation.Refuse(delegation.NotDelegated, errors.New("the credential is none of OAuth 1.0a"))
	}
	p.readSecret()
	g, newer, err := p.grants.GetNewer(ctx, c.grant)
	switch {
	case err != nil:
		return nil, err
	case !newer || g.Account != d.Participant:
		return c, nil
	}
	return p.signed(g)
}
