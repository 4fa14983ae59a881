// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// StartConsent implements [delegation.ConsentStarter]: it returns the vendor's page,
// with the parameters of RFC 6749 section 4.1.1. Whatever the address or the settings
// say for one of ours is replaced: a pasted state would be everybody's.
func (p *oauth2Source) StartConsent(ctx context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	e, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	redirect, err := redirectURI(flow.ReturnURL)
	if err != nil {
		return nil, err
	}
	query := e.authorize.Query()
	setParams(query, p.config.AuthorizeParams, redirect)
	for _, name := range []string{"code_challenge", "code_challenge_method", "request", "request_uri", "response_mode"} {
		query.Del(name)
	}
	query.Set("response_type", "code")
	query.Set("client_id", p.config.ClientID)
	query.Set("redirect_uri", redirect)
	query.Set("state", flow.State.Reveal())
	if p.config.FHIRBase != "" {
		query.Set("aud", p.config.FHIRBase) // byte for byte, as the server compares it
	}
	if scopes := p.config.asked(flow.Scopes, flow.Grant); p.config.NoScope {
		query.Del("scope")
	} else if len(scopes) > 0 {
		query.Set("scope", strings.Join(scopes, p.config.separator()))
	}
	if !p.config.NoPKCE {
		challenge := sha256.Sum256([]byte(flow.Verifier.Reveal()))
		query.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
		query.Set("code_challenge_method", "S256")
	}
	page := *e.authorize
	// Some vendors take a plus sign in a query for one.
	page.RawQuery, page.Fragment = strings.ReplaceAll(query.Encode(), "+", "%20"), ""
	return &delegation.ConsentPage{URL: page.String()}, nil
}

// redirectURI returns the address that is registered at the vendor: that of the flow
// without its query, which has the state.
func redirectURI(returnURL string) (string, error) {
	u, err := url.Parse(returnURL)
	if err != nil || u.Host == "" {
		return "", delegation.Refuse(delegation.FlowExpired, errors.New("the flow does not say where the browser comes back to"))
	}
	u.RawQuery, u.ForceQuery = "", false
	return u.String(), nil
}

// setParams sets parameters of the settings.
func setParams(to url.Values, params map[string]string, redirect string) {
	for name, value := range params {
		if value == RedirectURI {
			value = redirect
		}
		to.Set(name, value)
	}
}

// separator returns what stands between scopes.
func (c *Config) separator() string {
	if c.ScopeSeparator == "" {
		return " "
	}
	return c.ScopeSeparator
}

// asked returns the scopes that a flow asks for: those that it names, or the source's.
// To those that it names are added the ones of the source that the grant has, which
// the next one takes the place of, and at a FHIR server those that open no resource:
// without launch/patient nobody's records would be chosen, and servers do not always say
// that it is granted.
func (c *Config) asked(named []string, g *delegation.Grant) []string {
	if len(named) == 0 {
		return c.Scopes
	}
	var scopes []string
	for _, scope := range c.Scopes { // in the vendor's order
		if slices.Contains(named, scope) || g != nil && c.Covers.Covered(g.Scopes, scope) || c.Covers == CoversSMART && opensNoResource(scope) {
			scopes = append(scopes, scope)
		}
	}
	for _, scope := range named {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if g == nil {
		return scopes
	}
	for _, scope := range g.Scopes { // a part of one of the source's, such as one type of patient/*.rs
		if c.Covers.Covered(c.Scopes, scope) && !c.Covers.Covered(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}
