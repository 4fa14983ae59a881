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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// Check implements [delegation.Checker].
func (p *Provider) Check(ctx context.Context, q delegation.Question, tell func(delegation.Finding)) {
	d := q.Delegation
	c := new(Credential)
	scopes := p.config.Scopes
	if d != nil && len(d.Scopes) > 0 {
		scopes = d.Scopes
	}
	steps := []delegation.Step{{Name: "platform", Try: p.reach}, {Name: "service token", Try: func(ctx context.Context) (_ string, err error) {
		if c.Token, _, err = p.tokens.Get(ctx, p.identity(scopes)); err != nil {
			if delegation.AsRefusal(err).Code == delegation.ScopeRejected {
				err = p.singly(ctx, &q, scopes, err)
			}
			return "", err
		}
		return fmt.Sprintf("from %s, for %s, lives %s", p.config.TokenURL, c.Token.Scope, c.Token.Lifetime()), nil
	}}}
	if d != nil {
		steps = append(steps, delegation.Step{Name: "grant", Try: func(ctx context.Context) (string, error) {
			h, err := p.look(ctx, d.Person)
			if err != nil {
				return "", err
			}
			c.Member = h.member
			return "of " + h.grant.Changed.UTC().Format("2006-01-02 15:04"), nil
		}})
	}
	if d != nil && d.Path != "" {
		steps = append(steps, delegation.Step{Name: "style", Try: func(context.Context) (_ string, err error) {
			c.Place, err = p.styles.Place(d.Method, d.Path)
			return c.Place.style.String(), err
		}})
	}
	if d != nil && q.Read {
		steps = append(steps, delegation.Step{Name: "read", Try: func(ctx context.Context) (string, error) { return p.readOnce(ctx, d, c) }})
	}
	delegation.Try(ctx, steps, tell)
}

// reach finds out whether the API answers at all, with whatever status.
func (p *Provider) reach(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, p.config.APIURL+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := p.client.Do(req) //nolint:gosec // the operator's own address
	if err != nil {
		return "", fmt.Errorf("%s: %w; check environment or api_url, and http if there is a proxy", req.URL.Host, oauth.Unreachable(err))
	}
	_ = res.Body.Close()
	return req.URL.Host + " answers", nil
}

// singly tries each scope by itself, as one bad one fails the whole request.
// whole is what the whole request came to.
func (p *Provider) singly(ctx context.Context, q *delegation.Question, scopes []string, whole error) error {
	var refused, granted []string
	for _, scope := range scopes {
		_, _, err := p.tokens.Get(ctx, p.identity([]string{scope}))
		switch {
		case err == nil:
			granted = append(granted, scope)
		case delegation.AsRefusal(err).Code != delegation.ScopeRejected:
			return whole // that is not about scopes any more
		default:
			if by := q.AskedBy(scope); by != "" {
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

// look reads somebody's grant. Unlike [Provider.member] it changes nothing: one
// that was put aside is not tried again.
func (p *Provider) look(ctx context.Context, who delegation.Person) (*held, error) {
	store, err := p.opener.Store(ctx)
	if err != nil {
		return nil, refuse(err)
	}
	g, err := store.Find(ctx, p.owner(who))
	if err == nil && g.State != grants.Active {
		err = grants.ErrNone
	}
	if err != nil {
		return nil, refuse(err)
	}
	return hold(g)
}

// readOnce sends the request and tells how it ends, never what it says.
func (p *Provider) readOnce(ctx context.Context, d *delegation.Delegation, c *Credential) (string, error) {
	req, err := http.NewRequestWithContext(ctx, d.Method, p.config.APIURL+d.URI, nil)
	if err != nil {
		return "", errors.New("the path makes no address")
	}
	status, size, err := p.send(req, c)
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

// send sends a request of our own, and throws the answer away.
func (p *Provider) send(req *http.Request, c *Credential) (status int, size int64, err error) {
	req.Header.Set("Accept", "application/json")
	if err := c.Apply(req); err != nil {
		return 0, 0, err
	}
	res, err := p.client.Do(req) //nolint:gosec // the operator's own address
	if err != nil {
		return 0, 0, errors.New("the platform does not answer") // err holds the address, and with it the key
	}
	defer func() { _ = res.Body.Close() }()
	size, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, size, nil
}
