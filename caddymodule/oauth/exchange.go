// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const maxRefreshToken = 8 << 10

// TokenResponse is a successful token response (RFC 6749 section 5.1, RFC 8693
// section 2.2.1). Whatever in it belongs to a person is a [delegation.Secret].
type TokenResponse struct {
	// Access is the access token, up to 8 KiB.
	Access delegation.Secret
	// Refresh is the refresh token, up to 8 KiB; empty if there is none.
	Refresh delegation.Secret
	// IssuedTokenType is issued_token_type; "" if the answer does not say.
	IssuedTokenType string
	// Scope is the granted scope, space-separated; "" if the answer does not say:
	// it is the requested one then.
	Scope string
	// Wider reports that the request asked for scopes, and that the answer grants
	// others. Whether that is accepted is the caller's decision.
	Wider bool
	// Received is when the answer was received.
	Received time.Time
	// Expires is Received plus expires_in, which may be up to 68 years; zero if
	// the answer does not say.
	Expires time.Time
	// Fields are the members of [Request.Fields] that the answer has, up to 8 KiB
	// each. A number is written in full: 1e3 is 1000.
	Fields map[string]delegation.Secret
}

// Exchange sends a token request of any grant type, such as authorization_code or
// refresh_token, and returns the whole answer. Unlike [Client.Token] it leaves
// lifetime and scope to the caller. The error is an [*Error].
func (c *Client) Exchange(ctx context.Context, r Request) (*TokenResponse, error) {
	res := new(TokenResponse)
	w, err := c.send(ctx, r, func(a *tokenResponse) error { return res.read(a, r.Fields) })
	if err != nil {
		return nil, err
	}
	res.Access, res.Scope = delegation.NewSecret(w.response.accessToken), w.response.scope
	res.Wider = len(r.Scopes) > 0 && w.response.isWider(r.Scopes)
	res.Received = w.received
	if w.response.lifetime > 0 {
		res.Expires = w.received.Add(w.response.lifetime)
	}
	return res, nil
}

// read reads and checks what [Client.Token] has no use for.
func (res *TokenResponse) read(a *tokenResponse, fields []string) (err error) {
	refresh, err := stringField(a.members, "refresh_token")
	if err != nil {
		return err
	}
	if err := checkToken("refresh_token", refresh, maxRefreshToken); err != nil {
		return err
	}
	res.Refresh = delegation.NewSecret(refresh)
	if res.IssuedTokenType, err = stringField(a.members, "issued_token_type"); err != nil {
		return err
	}
	res.Fields, err = furtherFields(a.members, fields)
	return err
}
