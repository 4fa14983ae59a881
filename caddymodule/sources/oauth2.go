// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// oauth2Source is a source whose people consent by an authorization code (RFC 6749
// section 4.1), with PKCE (RFC 7636) unless its vendor does not take it. It implements
// [protocol] and the hooks of [delegation.Source].
type oauth2Source struct {
	sourceHost
	config *Config
	// find returns the vendor's addresses. For SMART it may have to ask for them.
	find func(context.Context) (*endpoints, error)
	// known returns what find has found, or the settings say, without asking.
	known func() *endpoints
	// assertion signs a JWT by which the client proves to the token endpoint who it
	// is (RFC 7523 section 2.2); nil without [ClientAuthKey].
	assertion func(audience string) (string, error)

	engine   delegation.Tokens
	doubtful *doubtfulGrants
	ours     atomic.Pointer[ownAddresses] // every data call is compared with them
}

// ownAddresses are the reserved addresses of endpoints.
type ownAddresses struct {
	of   *endpoints
	list []reservedAddress
}

// endpoints are the addresses of a vendor's authorization server.
type endpoints struct {
	authorize, token, refresh *url.URL
	// issuer is the expected iss of a redirect that has one; "": any.
	issuer string
	// sendsIssuer reports that each redirect has iss, if there is an issuer.
	sendsIssuer bool
	revoke      *Call // nil: there is none
	// revocation is the endpoint of RFC 7009; nil: there is none.
	revocation *url.URL
	// others are all that discovery has named, such as for introspection.
	others []*url.URL
}

// newOAuth2 returns the protocol of an OAuth 2.0 source, with or without SMART.
func newOAuth2(c *Config) (protocol, error) {
	if err := c.checkOAuth2(); err != nil {
		return nil, err
	}
	p := &oauth2Source{config: c, doubtful: newDoubtfulGrants()}
	fixed := &endpoints{authorize: c.AuthURL, token: c.TokenURL, refresh: c.RefreshURL, issuer: c.Issuer, sendsIssuer: true, revoke: c.Revoke}
	if fixed.refresh == nil {
		fixed.refresh = fixed.token
	}
	p.find = func(context.Context) (*endpoints, error) { return fixed, nil }
	p.known = func() *endpoints { return fixed }
	if c.FHIRBase != "" {
		discovery := newSMARTDiscovery(c, &p.sourceHost)
		p.find = discovery.find
		p.known = func() *endpoints {
			if found := discovery.known(); found != nil {
				return found
			}
			return fixed // with the issuer of the settings
		}
	}
	if c.ClientAuth == ClientAuthKey {
		key, err := c.parseClientKey()
		if err != nil {
			return nil, err
		}
		p.assertion = func(audience string) (string, error) {
			return key.Assertion(c.ClientID, audience, oauth.MaxAssertionLifetime)
		}
	}
	return p, nil
}

// checkOAuth2 refuses settings with which a token would go to a stranger, or by which
// nobody can connect.
func (c *Config) checkOAuth2() error {
	switch {
	case c.ClientID == "":
		return errors.New("client_id is missing: give the one that the vendor has issued")
	case c.FHIRBase == "" && (c.AuthURL == nil || c.TokenURL == nil):
		return errors.New("auth_url or access_token_url is missing")
	case (c.ClientAuth == ClientAuthBody || c.ClientAuth == ClientAuthBasic || c.ClientAuth == "") && c.ClientSecret.Reveal() == "" && c.LoadSecret == nil:
		return errors.New("client_secret is missing: give it, or let the client be a public one")
	}
	return c.checkLookups()
}

// checkLookups refuses a look-up that would send a token to a stranger.
func (c *Config) checkLookups() error {
	for _, l := range []*Lookup{c.Account, c.Label, c.Granted} {
		for ; l != nil; l = l.Or {
			// Its request carries the access token.
			if l.In == InAnswer && (l.URL == nil || l.URL.Scheme != c.API.Scheme || hostPort(l.URL) != hostPort(c.API)) {
				return errors.New("a look-up by GET goes to another host than the API's: the access token is not sent there")
			}
		}
	}
	return nil
}

// open implements [protocol].
func (p *oauth2Source) open(h sourceHost) {
	p.sourceHost = h
	p.engine = h.tokens(p.mint)
}

// hooks implements [protocol]. A vendor that offers no revocation is not asked for one.
func (p *oauth2Source) hooks() delegation.ConsentStarter {
	if p.config.Revoke != nil || p.config.FHIRBase != "" {
		return revokingOAuth2{p}
	}
	return p
}

// reserved implements [protocol].
func (p *oauth2Source) reserved(ctx context.Context) ([]reservedAddress, error) {
	e, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	if ours := p.ours.Load(); ours != nil && ours.of == e {
		return ours.list, nil
	}
	ours := &ownAddresses{of: e, list: p.config.reservedPaths()}
	for _, u := range append([]*url.URL{e.authorize, e.token, e.refresh, e.revocation}, e.others...) {
		if a, ok := reserve(u); ok {
			ours.list = append(ours.list, a)
		}
	}
	for _, call := range []*Call{e.revoke, p.config.AfterConnect} {
		if a, ok := reserveCall(call); ok {
			ours.list = append(ours.list, a)
		}
		if call != nil && call.NonceURL != "" {
			if a, ok := reserveCall(&Call{Method: http.MethodPost, URL: call.NonceURL}); ok {
				ours.list = append(ours.list, a)
			}
		}
	}
	p.ours.Store(ours)
	return ours.list, nil
}

// clientSecret returns the client secret as it is now.
func (c *Config) clientSecret(h *sourceHost) delegation.Secret {
	if c.LoadSecret == nil {
		return c.ClientSecret
	}
	fresh, err := c.LoadSecret()
	if err != nil {
		h.logger.Warn("client_secret cannot be read; the one from before is used: "+err.Error(), zap.String("source", c.Name))
		return c.ClientSecret
	}
	return fresh
}

// Interface guards
var (
	_ protocol                  = (*oauth2Source)(nil)
	_ delegation.Redeemer       = (*oauth2Source)(nil)
	_ delegation.ConsentProber  = (*oauth2Source)(nil)
	_ delegation.GrantDecoder   = (*oauth2Source)(nil)
	_ delegation.GrantRefresher = (*oauth2Source)(nil)
	_ delegation.GrantRevoker   = revokingOAuth2{}
)
