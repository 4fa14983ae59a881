// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// callValues are the values of a call for a token.
func (p *oauth1Protocol) callValues(access delegation.Secret, account string) map[string]string {
	return map[string]string{"access": access.Reveal(), "account": account, "client_id": p.config.ClientID, "client_secret": p.secret.Load().Reveal()}
}

// sendAs makes a call to the vendor with a token.
func (p *oauth1Protocol) sendAs(s *signer) sendCall {
	return func(ctx context.Context, call *Call, values map[string]string) (*answer, error) {
		req, err := call.request(ctx, values)
		if err != nil {
			return nil, err
		}
		p.config.setAPIHeaders(req)
		switch call.Auth {
		case "basic":
			req.SetBasicAuth(p.config.ClientID, p.secret.Load().Reveal())
		case "signed":
			if err := s.Apply(req); err != nil {
				return nil, err
			}
		}
		return p.do(req)
	}
}

// revokingOAuth1 are the hooks of a source whose vendor can be told that its user has
// left.
type revokingOAuth1 struct{ *oauth1Protocol }

// RevokeGrant implements [delegation.GrantRevoker]. A token that the vendor does not know
// any more is revoked.
func (p revokingOAuth1) RevokeGrant(ctx context.Context, g *delegation.Grant) error {
	const what = "ending the consent at the vendor"
	p.readSecret()
	for last := false; ; last = true {
		a, err := p.sendAs(p.signerOf(g))(ctx, p.config.Revoke, p.callValues(g.Tokens.Access, g.Account))
		if err != nil {
			return unreachable(what, err)
		}
		problem := oauth1.ProblemIn(a.header, a.body)
		switch {
		case p.config.Revoke.accepts(a.status), a.status == http.StatusNotFound, a.status == http.StatusGone, problem.Kind() == oauth1.TokenFault:
			return nil
		case !last && (p.correctClock(a.header, problem) || problem.Kind() == oauth1.Time):
			continue
		case a.status == http.StatusUnauthorized && problem == "" && p.config.Revoke.Auth == "signed" && p.checkClient(ctx) == nil:
			return nil // so that it is the token which is not accepted
		default:
			return a.refusal(what)
		}
	}
}
