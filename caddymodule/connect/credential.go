// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// Credential is a person's access token in the place where the platform reads it.
type Credential struct {
	token *accessToken
	place TokenPlace
	path  string // of the request that it was put on last; it is of one request
}

// bearerParameter is the query parameter of RFC 6750 section 2.3. A platform that
// reads it may prefer it to the header, and so act for whoever's token it is.
const bearerParameter = "access_token"

// Apply implements [delegation.Credential]. What a client has sent by the name of
// the token is dropped first, in the spellings that servers read as that name. The
// error is a [delegation.Refusal] path_ambiguous for a query that can be read in
// more than one way.
func (c *Credential) Apply(out *http.Request) error {
	if c.token == nil || c.token.access.Reveal() == "" {
		return errors.New("the credential has no token")
	}
	c.path = out.URL.Path
	query, err := dropParameter(out.URL.RawQuery, bearerParameter)
	if err != nil {
		return err
	}
	out.URL.RawQuery = query
	switch c.place.In {
	case TokenInQuery:
		if query, err = dropParameter(query, c.place.Name); err != nil {
			return err
		}
		if query != "" {
			query += "&"
		}
		out.URL.RawQuery = query + c.place.Name + "=" + url.QueryEscape(c.token.access.Reveal())
		delete(out.Header, "Authorization")
	case TokenInHeader:
		for name := range out.Header {
			if headers.EnvironmentName(name) == headers.EnvironmentName(c.place.Name) {
				delete(out.Header, name)
			}
		}
		out.Header[http.CanonicalHeaderKey(c.place.Name)] = []string{c.token.access.Reveal()}
		delete(out.Header, "Authorization")
	default:
		return delegation.Bearer{Token: &delegation.Token{Access: c.token.access}}.Apply(out)
	}
	return nil
}

// Stale implements [delegation.Credential]: it reports whether the answer is a 401.
// Where the last success was is remembered: a later 401 of another route may be about
// that route, and not about the token.
func (c *Credential) Stale(res *http.Response) bool {
	if res.StatusCode/100 == 2 {
		if at := c.token.acceptedAt.Load(); at == nil || *at != c.path {
			path := c.path
			c.token.acceptedAt.Store(&path)
		}
	}
	return res.StatusCode == http.StatusUnauthorized
}

// Secrets implements [delegation.SecretLister].
func (c *Credential) Secrets() []delegation.Secret { return []delegation.Secret{c.token.access} }
