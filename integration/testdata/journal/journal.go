// Package journal lets users of delegate_proxy read their journal at a platform where
// they have to consent first: by a code of RFC 6749 section 4.1, with PKCE.
package journal

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func init() { caddy.RegisterModule(Provider{}) }

// Provider is an application at the platform.
type Provider struct {
	// URL is the address of API, page and token endpoint.
	URL string `json:"url,omitempty"`

	// ClientID and Secret are the application's. Secret accepts {env.*} and {file.*}.
	ClientID string `json:"client_id,omitempty"`
	Secret   string `json:"secret,omitempty"`

	base   *url.URL
	secret delegation.Secret
	grants delegation.Grants
}

// CaddyModule returns the Caddy module information.
func (Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "delegate.providers.journal", New: func() caddy.Module { return new(Provider) }}
}

// UnmarshalCaddyfile reads the block of `provider journal`.
func (p *Provider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // name or kind
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		to, ok := map[string]*string{"url": &p.URL, "client_id": &p.ClientID, "secret": &p.Secret}[d.Val()]
		if !ok {
			return d.Errf("unrecognized subdirective %q of provider journal", d.Val())
		}
		if !d.AllArgs(to) {
			return d.ArgErr()
		}
	}
	return nil
}

// Provision reads the settings.
func (p *Provider) Provision(caddy.Context) error {
	secret, err := caddy.NewReplacer().ReplaceOrErr(p.Secret, true, true)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	p.secret = delegation.NewSecret(secret)
	p.base, err = delegation.ParseBaseURL("url", "https://journal.example.org", p.URL)
	return err
}

// Traits are the facts that are needed before the first request.
func (p *Provider) Traits() delegation.Traits {
	return delegation.Traits{
		Scopes:      []string{"journal:read"},
		Routes:      []delegation.Route{{Methods: []string{http.MethodGet}, Pattern: "/entries/**"}},
		BaseURL:     p.base.String() + "/",
		Issuer:      p.base.String() + "/token",
		Fingerprint: delegation.Fingerprint([]string{p.base.String(), p.ClientID, p.secret.Reveal()}),
	}
}

// Open takes the grants, which the host keeps.
func (p *Provider) Open(host delegation.Host) error {
	keeper, ok := host.(delegation.GrantsHost)
	if !ok {
		return errors.New("this Caddy keeps no grants")
	}
	p.grants = keeper.Grants()
	return nil
}

// StartConsent says where the person's browser has to go.
func (p *Provider) StartConsent(_ context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	challenge := sha256.Sum256([]byte(flow.Verifier.Reveal()))
	query := url.Values{
		"response_type": {"code"}, "client_id": {p.ClientID}, "redirect_uri": {flow.ReturnURL},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}
	return &delegation.ConsentPage{URL: p.base.String() + "/authorize?" + query.Encode()}, nil
}

// OneTimeToken finds what works once in the query that the browser comes back with.
func (p *Provider) OneTimeToken(query url.Values) (delegation.Secret, error) {
	if codes := query["code"]; len(codes) == 1 && codes[0] != "" {
		return delegation.NewSecret(codes[0]), nil
	}
	return delegation.Secret{}, delegation.Refuse(delegation.TokenRejected, errors.New("the platform has sent the browser back without a code"))
}

// Redeem exchanges it. The code of its refusal decides whether it can be tried again.
func (p *Provider) Redeem(ctx context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		Account     string `json:"account"`
	}
	status, err := p.post(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {r.Token.Reveal()}, "redirect_uri": {r.ReturnURL}, "code_verifier": {r.Verifier.Reveal()},
	}, &answer)
	switch {
	case err == nil && status == http.StatusBadRequest:
		return nil, delegation.Refuse(delegation.TokenRejected, errors.New("the platform does not accept the code"))
	case err != nil || status != http.StatusOK || answer.AccessToken == "":
		return nil, delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("the token endpoint answered with status %d", status))
	}
	return &delegation.ConsentResult{Account: answer.Account, Tokens: delegation.GrantTokens{Access: delegation.NewSecret(answer.AccessToken)}}, nil
}

// post asks the token endpoint. The error quotes nothing of request and answer.
func (p *Provider) post(ctx context.Context, form url.Values, answer any) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base.String()+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(p.ClientID, p.secret.Reveal())
	res, err := new(delegation.HTTP).Client().Do(req)
	if err != nil {
		return 0, errors.New("no answer")
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK && json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(answer) != nil {
		return res.StatusCode, errors.New("no JSON")
	}
	return res.StatusCode, nil
}

// credential is a grant's access token, which knows its grant.
type credential struct {
	delegation.Bearer
	grant *delegation.Grant
}

func credentialOf(d *delegation.Delegation, g *delegation.Grant) *credential {
	d.Participant = g.Account
	return &credential{delegation.Bearer{Token: &delegation.Token{Access: g.Tokens.Access}}, g}
}

// Authorize takes the credential from the person's grant; without one the request is
// refused as consent_required.
func (p *Provider) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	g, err := p.grants.Get(ctx, d.Person)
	if err != nil {
		return nil, err
	}
	return credentialOf(d, g), nil
}

// Renew finds what the person has consented to since; or else their consent has ended
// at the platform.
func (p *Provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	refused := stale.(*credential)
	g, newer, err := p.grants.GetNewer(ctx, refused.grant)
	if err != nil {
		return nil, err
	}
	if newer {
		return credentialOf(d, g), nil
	}
	if refusal := p.grants.Suspend(ctx, refused.grant); refusal != nil {
		return nil, refusal
	}
	return refused, nil
}

// Upstream is where requests go.
func (p *Provider) Upstream(*delegation.Delegation) delegation.Upstream {
	return delegation.UpstreamAt(p.base)
}

// Forget has nothing to do: the host keeps the grants.
func (p *Provider) Forget(delegation.Selection) {}

// Interface guards
var (
	_ delegation.Provider       = (*Provider)(nil)
	_ delegation.ConsentStarter = (*Provider)(nil)
	_ delegation.Redeemer       = (*Provider)(nil)
	_ caddy.Provisioner         = (*Provider)(nil)
	_ caddyfile.Unmarshaler     = (*Provider)(nil)
)
