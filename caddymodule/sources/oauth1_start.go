// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// requestToken are the temporary credentials of a flow (RFC 5849 section 2.1), as its
// sealed secret has them.
type requestToken struct {
	Token  string `json:"token"`
	Secret string `json:"secret"`
}

var errUnconfirmed = errors.New("request_token_url: the answer has no oauth_callback_confirmed=true: the vendor has not taken our return address, as one of OAuth 1.0 before revision A; without a verifier anybody's consent could be put under another user")

// StartConsent implements [delegation.ConsentStarter]: it gets a request token, and
// returns the vendor's page for it (RFC 5849 sections 2.1 and 2.2).
func (p *oauth1Protocol) StartConsent(ctx context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	p.readSecret()
	var protocol []oauth1.Parameter
	if !p.config.CallbackAtAuthorize {
		protocol = []oauth1.Parameter{{Name: "oauth_callback", Value: flow.ReturnURL}}
	}
	reply, err := p.exchange(ctx, "request_token_url", p.config.RequestTokenURL, oauth1.Token{}, protocol...)
	if err != nil {
		return nil, err
	}
	if !p.config.CallbackAtAuthorize && reply.Get("oauth_callback_confirmed") != "true" {
		return nil, delegation.Refuse(delegation.CredentialsRejected, errUnconfirmed)
	}
	token := requestToken{reply.Get("oauth_token"), reply.Get("oauth_token_secret")}
	sealed, err := json.Marshal(token)
	if err != nil {
		return nil, err
	}
	return &delegation.ConsentPage{URL: p.authorizeURL(token.Token, flow.ReturnURL), Secret: delegation.NewSecret(string(sealed))}, nil
}

// authorizeURL returns the vendor's page for a request token.
func (p *oauth1Protocol) authorizeURL(token, returnURL string) string {
	page := *p.config.AuthURL
	query := page.Query()
	for name, value := range p.config.AuthorizeParams {
		if value == RedirectURI {
			value = returnURL
		}
		query.Set(name, value)
	}
	query.Set("oauth_token", token)
	if p.config.CallbackAtAuthorize {
		query.Set("oauth_callback", returnURL)
	}
	page.RawQuery = query.Encode()
	return page.String()
}

// OneTimeToken implements [delegation.Redeemer]. Only token and verifier together are
// one of a kind: a verifier may be a short number. A redirect without verifier is
// refused, since it proves nothing of who has consented (T67). One that names a problem
// ends the flow.
func (p *oauth1Protocol) OneTimeToken(handed url.Values) (delegation.Secret, error) {
	if handed.Has("oauth_problem") {
		return delegation.Secret{}, delegation.Refuse(delegation.ConsentDenied, errors.New("the vendor ended the consent flow with oauth_problem"))
	}
	token, verifier, err := verification(handed)
	if err != nil {
		return delegation.Secret{}, err
	}
	return delegation.NewSecret(url.Values{"token": {token}, "verifier": {verifier}}.Encode()), nil
}

// verification returns oauth_token and oauth_verifier of a redirect (RFC 5849 section
// 2.2).
func verification(handed url.Values) (token, verifier string, err error) {
	if token, err = single(handed, "oauth_token"); err != nil {
		return "", "", err
	}
	if verifier, err = single(handed, "oauth_verifier"); err != nil {
		return "", "", err
	}
	if token == "" || verifier == "" {
		return "", "", rejected("the redirect has no oauth_token or no oauth_verifier")
	}
	return token, verifier, nil
}

// Redeem implements [delegation.Redeemer]: it exchanges request token and verifier for
// the person's token (RFC 5849 section 2.3). A redirect with another flow's token is
// refused before the vendor is asked.
func (p *oauth1Protocol) Redeem(ctx context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	token, verifier, err := verification(r.Handed)
	if err != nil {
		return nil, err
	}
	var sent requestToken
	if err := json.Unmarshal([]byte(r.Secret.Reveal()), &sent); err != nil || sent.Token == "" {
		return nil, delegation.Refuse(delegation.FlowExpired, errors.New("the flow has no request token: it was begun with other settings of the source"))
	}
	if !delegation.NewSecret(token).Equal(delegation.NewSecret(sent.Token)) {
		return nil, rejected("oauth_token of the redirect is not that of the flow")
	}
	p.readSecret()
	temporary := oauth1.Token{Value: delegation.NewSecret(sent.Token), Secret: delegation.NewSecret(sent.Secret)}
	reply, err := p.exchange(ctx, "access_token_url", p.config.TokenURL, temporary, oauth1.Parameter{Name: "oauth_verifier", Value: verifier})
	if err != nil {
		return nil, err
	}
	return p.result(ctx, r, reply)
}
