// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// Check implements [delegation.Checker].
func (p *Provider) Check(ctx context.Context, q delegation.CheckRequest, tell func(delegation.Finding)) {
	d := q.Delegation
	c := new(Credential)
	scopes := p.config.Scopes
	if d != nil && len(d.Scopes) > 0 {
		scopes = d.Scopes
	}
	steps := []delegation.CheckStep{{Name: "platform", Run: p.checkReachable}, {Name: "service token", Run: func(ctx context.Context) (_ string, err error) {
		if c.Token, _, err = p.tokens.Get(ctx, p.identity(scopes)); err != nil {
			if delegation.AsRefusal(err).Code == delegation.ScopeRejected {
				err = p.tryScopesSingly(ctx, &q, scopes, err)
			}
			return "", err
		}
		return fmt.Sprintf("from %s, for %s, lives %s", p.config.TokenURL, c.Token.Scope, c.Token.Lifetime()), nil
	}}}
	if d != nil {
		steps = append(steps, delegation.CheckStep{Name: "grant", Run: func(ctx context.Context) (string, error) {
			// Read so that nothing is changed: a suspended grant is not probed.
			g, _, err := p.grants.GetNewer(ctx, &delegation.Grant{Person: d.Person})
			if err != nil {
				return "", err
			}
			decoded, err := decodedOf(g)
			if err != nil {
				return "", err
			}
			c.Member = decoded.member
			return "of " + g.Changed.UTC().Format("2006-01-02 15:04"), nil
		}})
	}
	if d != nil && d.Path != "" {
		steps = append(steps, delegation.CheckStep{Name: "style", Run: func(context.Context) (_ string, err error) {
			c.Placement, err = p.styles.Placement(d.Method, d.Path)
			return c.Placement.style.String(), err
		}})
	}
	if d != nil && q.Send {
		steps = append(steps, delegation.CheckStep{Name: "read", Run: func(ctx context.Context) (string, error) { return p.sendTestRead(ctx, d, c) }})
	}
	delegation.RunChecks(ctx, steps, tell)
}

// checkReachable finds out whether the API answers at all, with whatever status.
func (p *Provider) checkReachable(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, p.config.APIURL+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w; check environment or api_url, and http if there is a proxy", req.URL.Host, oauth.Unreachable(err))
	}
	_ = res.Body.Close()
	return req.URL.Host + " answers", nil
}

// tryScopesSingly asks for each scope by itself, because one bad scope fails the
// whole request. whole is the error of the whole request.
func (p *Provider) tryScopesSingly(ctx context.Context, q *delegation.CheckRequest, scopes []string, whole error) error {
	var refused, granted []string
	for _, scope := range scopes {
		_, _, err := p.tokens.Get(ctx, p.identity([]string{scope}))
		switch {
		case err == nil:
			granted = append(granted, scope)
		case delegation.AsRefusal(err).Code != delegation.ScopeRejected:
			return whole // the error is not about scopes any more
		default:
			if by := q.RoutesRequiring(scope); by != "" {
				scope += " (asked for by allow " + by + ")"
			}
			refused = append(refused, scope)
		}
	}
	if len(refused) == 0 {
		return fmt.Errorf("%w; each by itself is granted", whole)
	}
	said := "tried one by one, Mydex refuses " + strings.Join(refused, ", ")
	if len(granted) > 0 {
		said += " and grants " + strings.Join(granted, " ")
	}
	return delegation.Refuse(delegation.ScopeRejected, errors.New(said+": compare them with the scopes that Mydex has given the client"))
}

// sendTestRead sends the request of the check, and returns the status and the size
// of the answer, never its content.
func (p *Provider) sendTestRead(ctx context.Context, d *delegation.Delegation, c *Credential) (string, error) {
	req, err := http.NewRequestWithContext(ctx, d.Method, p.config.APIURL+d.URI, nil)
	if err != nil {
		return "", errors.New("the path makes no address")
	}
	status, size, err := p.sendAndDiscard(req, c)
	switch {
	case err != nil:
		return "", err
	case status == http.StatusUnauthorized:
		return "", errors.New("status 401: a scope is missing for the route, or the member has withdrawn")
	case status >= http.StatusBadRequest:
		return "", errors.New(delegation.StatusCause(status))
	default:
		return fmt.Sprintf("status %d, %d bytes", status, size), nil
	}
}

// sendAndDiscard sends a request of our own, and drops the answer's body, of which
// it reads up to 1 MiB.
func (p *Provider) sendAndDiscard(req *http.Request, c *Credential) (status int, size int64, err error) {
	req.Header.Set("Accept", "application/json")
	if err := c.Apply(req); err != nil {
		return 0, 0, err
	}
	res, err := p.client.Do(req) //nolint:gosec // the operator's own address
	if err != nil {
		return 0, 0, errors.New("the platform does not answer") // err holds the address, and with it the member key
	}
	defer func() { _ = res.Body.Close() }()
	size, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, size, nil
}
