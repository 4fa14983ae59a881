// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// source is one source of a provider.
type source struct {
	config   Config
	protocol protocol
	upstream delegation.Upstream
	grants   delegation.Grants
	http     *delegation.HTTP
	client   *http.Client
}

// newSource returns a source of valid settings.
func newSource(c Config) (*source, error) {
	s := &source{config: c, http: new(delegation.HTTP)}
	if c.HTTP != nil {
		*s.http = *c.HTTP
	}
	// An address of the catalogue, or one that a vendor names, must not reach what only
	// this machine can.
	s.http.PublicOnly = !c.AllowPrivate
	if c.API == nil {
		return nil, errors.New("api_host_url is missing: give the address that data calls go to")
	}
	var err error
	if s.protocol, err = newProtocol(&s.config); err != nil {
		return nil, err
	}
	s.upstream = delegation.UpstreamAt(c.API)
	s.upstream.Mount = "/" + c.Name
	s.upstream.CredentialInURL = c.SignatureInQuery
	return s, nil
}

// describe returns the source as the host sees it.
func (s *source) describe() delegation.Source {
	c := &s.config
	issuer := c.FHIRBase // its endpoints are found by discovery
	if c.TokenURL != nil {
		issuer = c.TokenURL.String()
	}
	return delegation.Source{
		HTTP: s.http, Name: c.Name, Title: c.Title, Logo: c.Logo, LogoType: c.LogoType, Ended: c.Ended,
		Scopes: c.Scopes, Covers: c.Covers.Covered, NoScopes: c.hasNoScopes(), Issuer: issuer, Vendor: c.vendor(), Client: c.clientAtVendor(), NoAccount: c.Account == nil, Hooks: s.protocol.hooks(),
	}
}

// vendor names where the tokens of the source are sent: the origins of the endpoints that
// get them, and of the API; for a FHIR server its base, behind which are several at some
// hosts.
func (c *Config) vendor() string {
	if c.FHIRBase != "" {
		return c.API.Scheme + "://" + hostPort(c.API) + c.API.EscapedPath()
	}
	var origins []string
	for _, u := range []*url.URL{c.TokenURL, c.RefreshURL, c.API} {
		if u == nil {
			continue
		}
		if origin := strings.ToLower(u.Scheme) + "://" + hostPort(u); !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return strings.Join(origins, " ")
}

// clientAtVendor names the application at the vendor: a vendor ends all consents of an
// account to one with one, whatever the API is that they are for.
func (c *Config) clientAtVendor() string {
	server := c.FHIRBase
	if c.TokenURL != nil {
		server = strings.ToLower(c.TokenURL.Scheme) + "://" + hostPort(c.TokenURL)
	}
	return server + " " + c.ClientID
}

// hasNoScopes reports whether no grant can have scopes: the vendor is asked for none,
// and says none.
func (c *Config) hasNoScopes() bool {
	return c.Protocol == OAuth1 || c.NoScope && c.Granted == nil
}

func (s *source) open(host delegation.SourcesHost) {
	s.grants, s.client = host.SourceGrants(s.config.Name), s.http.Client()
	s.protocol.open(sourceHost{
		grants: s.grants, logger: host.Logger(), client: s.client,
		tokens: func(mint delegation.Mint) delegation.Tokens { return host.SourceTokens(s.config.Name, mint) },
		retain: host.RetainShared,
	})
}

func (s *source) close() {
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
}

// authorize returns the credential of a request.
func (s *source) authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	if err := s.checkTarget(ctx, d); err != nil {
		return nil, err
	}
	g, err := s.grants.Get(ctx, d.Person)
	if err != nil {
		return nil, err
	}
	if err := s.checkScopes(d, g); err != nil {
		return nil, err
	}
	d.Participant = g.Account
	c, err := s.protocol.credential(ctx, d, g)
	if err != nil {
		return nil, err
	}
	return &credential{c, s.config.APIHeaders, s.config.APIRefused}, nil
}

// renew returns another credential than stale.
func (s *source) renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	old, ok := stale.(*credential)
	if !ok || d.Participant == "" {
		return nil, delegation.Refuse(delegation.NotDelegated, errors.New("there is no credential of this provider to renew"))
	}
	c, err := s.protocol.renew(ctx, d, old.Credential)
	if err != nil {
		return nil, err
	}
	return &credential{c, s.config.APIHeaders, s.config.APIRefused}, nil
}
