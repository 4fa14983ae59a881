// SPDX-License-Identifier: Apache-2.0

// Package oauth is a client for token endpoints (RFC 6749): it authenticates,
// asks for a token and trusts nothing of the answer that was not checked.
package oauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Client asks one token endpoint for tokens.
type Client struct {
	// URL is the token endpoint.
	URL string
	// HTTP makes the calls. Its redirect policy does not matter: redirects are
	// never followed.
	HTTP *http.Client
}

// Request is one request for a token.
type Request struct {
	// GrantType defaults to client_credentials.
	GrantType string
	// ClientID and ClientSecret may be empty where Params authenticate the client.
	ClientID     string
	ClientSecret delegation.Secret
	// AuthStyle tells how ID and secret are sent. Default: in the form.
	AuthStyle oauth2.AuthStyle
	// Scopes to ask for, and the most to accept.
	Scopes []string
	// Params are further form fields.
	Params url.Values
}

// Token asks for a token. Its error is an [*Error].
func (c *Client) Token(ctx context.Context, r Request) (*delegation.Token, error) {
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
	w := &checkedTransport{base: c.HTTP.Transport, requestedScopes: r.Scopes}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: w, Timeout: c.HTTP.Timeout})
	token, err := config.Token(ctx)
	if err != nil {
		// Never wrapped: oauth2.RetrieveError prints the answer's body.
		if e, ok := errors.AsType[*Error](err); ok {
			return nil, e
		}
		return nil, Unreachable(err)
	}
	return &delegation.Token{
		Access:  delegation.NewSecret(token.AccessToken),
		Scope:   w.response.scope,
		Minted:  w.received,
		Expires: w.received.Add(w.response.lifetime),
	}, nil
}
