// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// OneTimeToken implements [delegation.Redeemer]: it returns the code of a redirect.
// One that another issuer has sent ends the flow (RFC 9207 section 2.4): a vendor
// could otherwise have its own code redeemed for another's.
func (p *oauth2Source) OneTimeToken(handed url.Values) (delegation.Secret, error) {
	issuer, err := single(handed, "iss")
	if err != nil {
		return delegation.Secret{}, err
	}
	if !p.known().mayIssue(issuer) {
		return delegation.Secret{}, errIssuer()
	}
	code, err := single(handed, "code")
	switch {
	case err != nil:
		return delegation.Secret{}, err
	case code == "":
		return delegation.Secret{}, rejected("the redirect has no code")
	}
	return delegation.NewSecret(code), nil
}

// mayIssue reports whether a redirect with this iss, "" for none, is of the server.
func (e *endpoints) mayIssue(issuer string) bool {
	return e.issuer == "" || issuer == e.issuer || issuer == "" && !e.sendsIssuer
}

func errIssuer() error {
	return delegation.Refuse(delegation.ConsentDenied, errors.New("the redirect has another iss than the source's issuer"))
}

// single returns the one value of a parameter of the redirect; empty if there is none.
func single(handed url.Values, name string) (string, error) {
	switch values := handed[name]; {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", rejected("the redirect has " + name + " more than once")
	case values[0] != "" && !delegation.IsLine(values[0], maxToken):
		return "", rejected(fmt.Sprintf("the redirect's %s is longer than %d bytes, or holds what none has", name, maxToken))
	default:
		return values[0], nil
	}
}

// rejected is the refusal of what the browser has brought.
func rejected(why string) *delegation.Refusal {
	r := delegation.Refuse(delegation.TokenRejected, errors.New(why))
	r.Expected = true
	return r
}

// Redeem implements [delegation.Redeemer]: it exchanges the code, and finds out whose
// account was connected. Nothing is asked of the vendor twice.
func (p *oauth2Source) Redeem(ctx context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	e, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	if !e.mayIssue(r.Handed.Get("iss")) {
		return nil, errIssuer() // of a server whose issuer was not known before
	}
	redirect, err := redirectURI(r.ReturnURL)
	if err != nil {
		return nil, err
	}
	form := make(url.Values)
	setParams(form, p.config.TokenParams, redirect)
	form.Set("grant_type", "authorization_code")
	form.Set("code", r.Token.Reveal())
	form.Set("redirect_uri", redirect)
	if !p.config.NoPKCE {
		form.Set("code_verifier", r.Verifier.Reveal())
	}
	reply, err := p.requestToken(ctx, e.token, form)
	if err != nil {
		return nil, refusalOfCode(err)
	}
	return p.result(ctx, r, reply, redirect) // beside an error: what the vendor has consented to all the same
}

// result returns what the tokens of a reply have led to; as far as it was found beside
// an error. A label that cannot be found is none: the vendor's data can be read all the
// same.
func (p *oauth2Source) result(ctx context.Context, r *delegation.Redemption, reply *tokenReply, redirect string) (*delegation.ConsentResult, error) {
	result := &delegation.ConsentResult{Tokens: reply.tokens}
	var err error
	if result.Secret, err = p.sealSecret(redirect); err != nil {
		return result, err
	}
	f := &finder{
		config: p.config, host: &p.sourceHost, reply: reply, redirect: r.Handed, as: bearer(reply.tokens.Access),
		secrets: []delegation.Secret{reply.tokens.Access, reply.tokens.Refresh, p.config.ClientSecret},
	}
	if result.Account, err = p.account(ctx, f, r.Grant); err != nil {
		return result, err
	}
	p.keepRefreshToken(result, r.Grant)
	if result.Scopes, err = p.granted(ctx, f, r); err != nil {
		return result, err
	}
	if err = p.afterConnect(ctx, p.config.AfterConnect, r.Person, p.callValues(&result.Tokens, result.Account), p.send); err != nil {
		return result, err
	}
	result.Label, _ = f.label(ctx) // last: a vendor that is slow to say it holds up nothing that is needed
	return result, nil
}

// keepRefreshToken has a consent without a refresh token go on with that of the grant
// which it takes the place of: a vendor that keeps them, such as Google, gives one with
// the first consent and not with every other. Another account's is not taken, nor any
// where the vendor does not say whose account it is: the browser may be signed in there
// as somebody else.
func (p *oauth2Source) keepRefreshToken(result *delegation.ConsentResult, g *delegation.Grant) {
	if result.Tokens.Refresh.Reveal() != "" || p.config.Refresh == RefreshNone {
		return
	}
	same := g != nil && p.config.Account != nil && g.Account == result.Account
	if p.config.Refresh == RefreshKept && same && !g.Suspended && g.Tokens.Refresh.Reveal() != "" {
		result.Tokens.Refresh, result.Tokens.RefreshExpires = g.Tokens.Refresh, g.Tokens.RefreshExpires
		return
	}
	if !result.Tokens.AccessExpires.IsZero() {
		p.logger.Warn("the vendor has given no refresh token: the user has to connect again when the access token ends; check the scopes and `authorize_param` of the source, or state `refresh none`",
			zap.String("source", p.config.Name), zap.Time("ends", result.Tokens.AccessExpires))
	}
}

// refusalOfCode returns the refusal of a code that was not exchanged.
func refusalOfCode(err error) error {
	if r := delegation.AsRefusal(err); r.Code == delegation.DelegationRefused {
		last := delegation.Refuse(delegation.TokenRejected, r.Unwrap())
		last.Expected = true
		return last
	}
	return err
}

// account returns who the person is at the vendor. A vendor that does not say gets a
// name that nobody else has, which stays the person's.
func (p *oauth2Source) account(ctx context.Context, f *finder, g *delegation.Grant) (string, error) {
	switch {
	case p.config.Account != nil:
		return f.account(ctx)
	case g != nil:
		return g.Account, nil
	default:
		return rand.Text(), nil
	}
}

// granted returns the scopes that were granted: those of the vendor's word, or those
// that were asked for if it says none (RFC 6749 section 5.1).
func (p *oauth2Source) granted(ctx context.Context, f *finder, r *delegation.Redemption) ([]string, error) {
	scopes, err := f.granted(ctx)
	if err != nil || scopes != nil {
		return scopes, err
	}
	if p.config.NoScope {
		return nil, nil
	}
	return p.config.asked(r.Scopes, r.Grant), nil
}

// grantSecret is what the Secret of a grant holds, as JSON. Once released the names
// stay: they are in the databases.
type grantSecret struct {
	// Redirect is the redirect URI, for a vendor that wants it at each refresh.
	Redirect string `json:"redirect,omitempty"`
}

// sealSecret returns the text for a grant's Secret; empty if the source needs none.
func (p *oauth2Source) sealSecret(redirect string) (delegation.Secret, error) {
	for _, value := range p.config.RefreshParams {
		if value == RedirectURI {
			text, err := json.Marshal(grantSecret{Redirect: redirect})
			return delegation.NewSecret(string(text)), err
		}
	}
	return delegation.Secret{}, nil
}
