// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func init() { caddy.RegisterModule(shelf{}) }

// shelf is a third party's provider of sources that people connect: it imports
// package delegation alone. A line of its settings is a source's name, where it is,
// and the proxy by which it is reached, if any.
type shelf struct {
	At      map[string]string `json:"at,omitempty"`
	Proxies map[string]string `json:"proxies,omitempty"`

	grants map[string]delegation.Grants
}

func (shelf) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "delegate.providers.shelf", New: func() caddy.Module { return new(shelf) }}
}

func (p *shelf) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	p.At, p.Proxies = make(map[string]string), make(map[string]string)
	for d.NextBlock(0) {
		name, args := d.Val(), d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		p.At[name] = args[0]
		if len(args) > 1 {
			p.Proxies[name] = args[1]
		}
	}
	return nil
}

func (*shelf) Traits() delegation.Traits { return delegation.Traits{Fingerprint: "shelf"} }

// Sources implements [delegation.SourceProvider].
func (p *shelf) Sources() (all []delegation.Source) {
	for _, name := range slices.Sorted(maps.Keys(p.At)) {
		s := delegation.Source{Name: name, Hooks: shelfHooks{p.At[name]}, Scopes: []string{"read", "write"}, Issuer: p.At[name]}
		if proxy, err := url.Parse(p.Proxies[name]); err == nil && proxy.Host != "" {
			s.HTTP = &delegation.HTTP{Proxy: proxy}
		}
		all = append(all, s)
	}
	return all
}

func (p *shelf) Open(host delegation.Host) error {
	keeper, ok := host.(delegation.SourcesHost)
	if !ok {
		return errors.New("this host keeps no grants by source")
	}
	p.grants = make(map[string]delegation.Grants)
	for name := range p.At {
		p.grants[name] = keeper.SourceGrants(name)
	}
	return nil
}

func (p *shelf) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	g, err := p.grants[d.Source].Get(ctx, d.Person)
	if err != nil {
		return nil, err
	}
	for _, scope := range d.Scopes {
		if !slices.Contains(g.Scopes, scope) {
			refusal := delegation.Refuse(delegation.ConsentRequired, errors.New("too little was granted"))
			refusal.RequiredScopes = d.Scopes
			return nil, refusal
		}
	}
	d.Participant, d.Cached = g.Account, true
	return delegation.Bearer{Token: &delegation.Token{Access: g.Tokens.Access}}, nil
}

func (p *shelf) Renew(_ context.Context, _ *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	return stale, nil
}

func (p *shelf) Upstream(d *delegation.Delegation) delegation.Upstream {
	base, _ := url.Parse(p.At[d.Source])
	u := delegation.UpstreamAt(base)
	u.Mount = "/" + d.Source
	return u
}

func (*shelf) Forget(delegation.Selection) {}

// shelfHooks carry out the consents of the source at an address. A code is the
// account, a full stop and the granted scopes with commas.
type shelfHooks struct{ address string }

func (h shelfHooks) StartConsent(_ context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	return &delegation.ConsentPage{URL: h.address + "/consent?" + url.Values{"back": {flow.ReturnURL}, "source": {flow.Source}}.Encode()}, nil
}

func (shelfHooks) OneTimeToken(handed url.Values) (delegation.Secret, error) {
	return delegation.NewSecret(handed.Get("code")), nil
}

func (h shelfHooks) Redeem(_ context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	account, scopes, _ := strings.Cut(r.Token.Reveal(), ".")
	return &delegation.ConsentResult{
		Account: account, Scopes: strings.Split(scopes, ","),
		Tokens: delegation.GrantTokens{Access: delegation.NewSecret("token-of-" + account + "-at-" + r.Source)},
	}, nil
}

// connectsTo has somebody consent at a source of the shelf, with a code.
func (b *browser) connectsTo(t *testing.T, source, code string) {
	t.Helper()
	var started struct{ URL string }
	begun := b.do(http.MethodPost, "/connect/start/"+source, "")
	if err := json.Unmarshal([]byte(begun.body), &started); err != nil {
		t.Fatalf("begin: %v: %s", err, begun.body)
	}
	page, err := url.Parse(started.URL)
	if err != nil || page.Query().Get("source") != source {
		t.Fatalf("%v: the page is %v", err, page)
	}
	a := b.do(http.MethodGet, page.Query().Get("back")+"&code="+code, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	if to := a.Header.Get("Location"); !strings.Contains(to, "connect=connected") {
		t.Fatalf("back from %s: %d, sent to %q", source, a.StatusCode, to)
	}
}
