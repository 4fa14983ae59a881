// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

// Check implements [delegation.Checker].
func (p *Provider) Check(ctx context.Context, q delegation.CheckRequest, tell func(delegation.Finding)) {
	tell(p.explainBinding())
	steps := []delegation.CheckStep{{Name: "platform", Run: p.checkReachable}, {Name: "client", Run: p.checkClient}}
	if d := q.Delegation; d != nil {
		c := new(Credential)
		steps = append(steps, delegation.CheckStep{Name: "grant", Run: func(ctx context.Context) (string, error) {
			g, err := p.grants.Get(ctx, d.Person)
			if err != nil {
				return "", err
			}
			if c.token, err = of(g); err != nil {
				return "", err
			}
			c.place = p.config.TokenIn
			return "of " + g.Changed.UTC().Format("2006-01-02 15:04"), nil
		}})
		if q.Send {
			steps = append(steps, delegation.CheckStep{Name: "read", Run: func(ctx context.Context) (string, error) { return p.checkRead(ctx, d, c) }})
		}
	}
	delegation.RunChecks(ctx, steps, tell)
}

// explainBinding says by what accounts are tied to people.
func (p *Provider) explainBinding() delegation.Finding {
	f := delegation.Finding{Step: "binding", OK: true}
	names := &p.config.Names
	switch p.config.Binding {
	case BindingNone:
		f.Warning, f.Detail = true, "none: "+unboundMeaning
	case BindingVerify:
		f.Detail = fmt.Sprintf("verify: %s has to name %s", p.config.VerifyURL, names.User)
	default:
		f.Detail = fmt.Sprintf("echo: the answer of exchange_url has to name %s and %s; the first person who connects shows whether it does", names.Client, names.User)
	}
	return f
}

// checkReachable finds out whether the API answers at all, with whatever status.
func (p *Provider) checkReachable(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, p.config.APIURL+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %s; check api_url, and http if there is a proxy", req.URL.Host, neterror.Cause(err))
	}
	_ = res.Body.Close()
	return req.URL.Host + " answers", nil
}

// checkClient exchanges a token that nobody has: the platform has to refuse it, and
// not the client.
func (p *Provider) checkClient(ctx context.Context) (string, error) {
	secret := p.clientSecret()
	a, err := p.post(ctx, p.config.ExchangeURL, []field{
		{p.config.Names.Token, "check-" + rand.Text()}, {p.config.Names.Client, p.config.ClientID}, {p.config.Names.Secret, secret.Reveal()},
	})
	if err != nil {
		return "", unreachable("exchange_url", err)
	}
	switch r := a.refusal("exchange_url"); {
	case r == nil:
		return "", fmt.Errorf("exchange_url answers with status %d to a token that nobody has: check the address", a.status)
	case r.Code == delegation.TokenRejected:
		return fmt.Sprintf("a token that nobody has is refused with status %d, and not the client", a.status), nil
	default:
		return "", r
	}
}

// checkRead sends the request of the check, and returns the status and the size of
// the answer, never its content.
func (p *Provider) checkRead(ctx context.Context, d *delegation.Delegation, c *Credential) (string, error) {
	a, err := p.get(ctx, p.config.APIURL+d.URI, c)
	switch {
	case err != nil:
		return "", err
	case a.status == http.StatusUnauthorized:
		return "", errors.New("status 401: the platform does not accept the access token, or not for this route; check token_in")
	case a.status >= http.StatusBadRequest:
		return "", errors.New(delegation.StatusCause(a.status))
	case a.isTooLarge:
		return fmt.Sprintf("status %d, more than %d bytes", a.status, maxAnswer), nil
	default:
		return fmt.Sprintf("status %d, %d bytes", a.status, len(a.body)), nil
	}
}
