// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// revokingOAuth2 are the hooks of a source whose vendor can be told that its user has
// left.
type revokingOAuth2 struct{ *oauth2Source }

// RevokeGrant implements [delegation.GrantRevoker]. A token that the vendor does not
// know any more is revoked.
func (p revokingOAuth2) RevokeGrant(ctx context.Context, g *delegation.Grant) error {
	const what = "ending the consent at the vendor"
	e, err := p.find(ctx)
	if err != nil {
		return err
	}
	call := e.revoke
	switch {
	case call == nil && e.revocation == nil: // by discovery: this server offers none
		return nil
	case call == nil:
		return p.revokeAt(ctx, e.revocation, g)
	}
	a, err := p.send(ctx, call, p.callValues(&g.Tokens, g.Account))
	if err != nil {
		return unreachable(what, err)
	}
	switch {
	case call.Auth == AuthNonce:
		if _, err := p.config.succeeded(a); err != nil {
			return unreachable(what, err)
		}
		return nil
	case call.accepts(a.status) || isUnknownToken(call, a):
		return nil
	default:
		return a.refusal(what)
	}
}

// revokeAt revokes a grant's refresh token, or its access token if it has no other, at
// the endpoint of RFC 7009, as the client. The server answers 200 for a token that it
// does not know as well (section 2.2).
func (p revokingOAuth2) revokeAt(ctx context.Context, revocation *url.URL, g *delegation.Grant) error {
	const what = "revoking the token"
	form := url.Values{"token": {g.Tokens.Refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	if form.Get("token") == "" {
		form = url.Values{"token": {g.Tokens.Access.Reveal()}, "token_type_hint": {"access_token"}}
	}
	req, err := p.tokenRequest(ctx, revocation, form)
	if err != nil {
		return unreachable(what, err)
	}
	a, err := p.do(req)
	switch {
	case err != nil:
		return unreachable(what, err)
	case a.status == http.StatusOK, a.status == http.StatusNoContent:
		return nil
	default:
		return a.refusal(what)
	}
}

// isUnknownToken reports whether an answer says that there is nothing to end.
func isUnknownToken(call *Call, a *answer) bool {
	switch a.status {
	case http.StatusNotFound, http.StatusGone:
		return true
	case http.StatusUnauthorized:
		if call.Auth == "bearer" {
			return true // the token itself is the credential
		}
	case http.StatusBadRequest:
	default:
		return false
	}
	all, err := a.members()
	if err != nil {
		return false
	}
	switch all["error"] {
	case "invalid_token", "invalid_grant":
		return true
	default:
		return false
	}
}
