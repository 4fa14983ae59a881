// SPDX-License-Identifier: Apache-2.0

// Package oauth is a client for token endpoints (RFC 6749): it authenticates, asks
// for a token, and checks all that it uses of the answer.
package oauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Client is a client of one token endpoint. It is safe for concurrent use.
type Client struct {
	// URL is the token endpoint.
	URL string
	// HTTP makes the calls, with its Transport and Timeout. Redirects are never
	// followed, whatever its policy.
	HTTP *http.Client
}

// Request is one token request.
type Request struct {
	// GrantType is grant_type. Default: client_credentials.
	GrantType string
	// ClientID and ClientSecret are the client's credentials; empty where Params
	// authenticate it.
	ClientID     string
	ClientSecret delegation.Secret
	// AuthStyle is how ID and secret are sent. Default: in the form.
	AuthStyle oauth2.AuthStyle
	// Scopes are the scopes to ask for, and for [Client.Token] the most to accept.
	Scopes []string
	// Params are further fields of the form.
	Params url.Values
	// Fields are the names of further members of the answer that
	// [Client.Exchange] is to return.
	Fields []string
}

// Token returns a new token, whose lifetime the answer has to say and whose scopes
// are among those asked for. The error is an [*Error].
func (c *Client) Token(ctx context.Context, r Request) (*delegation.Token, error) {
	w, err := c.send(ctx, r, func(a *tokenResponse) error { return a.checkComplete(r.Scopes) })
	if err != nil {
		return nil, err
	}
	scope := w.response.scope
	if scope == "" {
		scope = strings.Join(r.Scopes, " ")
	}
	return &delegation.Token{
		Access:  delegation.NewSecret(w.response.accessToken),
		Scope:   scope,
		Minted:  w.received,
		Expires: w.received.Add(min(w.response.lifetime, maxLifetime)),
	}, nil
}

// send sends a token request, and returns the transport with the answer, which
// check has accepted. The error is an [*Error].
func (c *Client) send(ctx context.Context, r Request, check func(*tokenResponse) error) (*checkedTransport, error) {
	config := clientcredentials.Config{
		ClientID:       r.ClientID,
		ClientSecret:   r.ClientSecret.Reveal(),
		TokenURL:       c.URL,
		Scopes:         r.Scopes,
		EndpointParams: make(url.Values),
		AuthStyle:      r.AuthStyle,
	}
	if config.AuthStyle == oauth2.AuthStyleAutoDetect {
		// Detection would send the secret twice in two ways.
		config.AuthStyle = oauth2.AuthStyleInParams
	}
	maps.Copy(config.EndpointParams, r.Params)
	if r.GrantType != "" {
		config.EndpointParams.Set("grant_type", r.GrantType)
	}
	w := &checkedTransport{base: c.HTTP.Transport, check: check}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: w, Timeout: c.HTTP.Timeout})
	if _, err := config.Token(ctx); err != nil {
		// Never wrapped: oauth2.RetrieveError prints the answer's body.
		if e, ok := errors.AsType[*Error](err); ok {
			return nil, e
		}
		return nil, Unreachable(err)
	}
	return w, nil
}
