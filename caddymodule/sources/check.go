// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Check implements [delegation.Checker]: it tries the client of each source, or of the
// one that the request is for, whose person's grant is looked at then. A vendor that is
// down does not keep the other sources from being tried.
func (p *Provider) Check(ctx context.Context, q delegation.CheckRequest, tell func(delegation.Finding)) {
	if q.Delegation == nil || q.Delegation.Path == "" {
		for _, s := range p.sources {
			delegation.RunChecks(ctx, append(s.checks(), delegation.CheckStep{Name: s.config.Name + " page", Run: s.checkPage}), tell)
		}
		return
	}
	d := q.Delegation
	steps := []delegation.CheckStep{{Name: "source", Run: func(ctx context.Context) (string, error) {
		s, err := p.sourceOf(d)
		if err != nil {
			return "", err
		}
		return s.config.Title, s.checkTarget(ctx, d)
	}}}
	if s, err := p.sourceOf(d); err == nil {
		steps = append(append(steps, s.checks()...), delegation.CheckStep{Name: s.config.Name + " grant", Run: func(ctx context.Context) (string, error) {
			g, err := s.grants.Get(ctx, d.Person)
			if err != nil {
				return "", err
			}
			return "of " + g.Changed.UTC().Format("2006-01-02 15:04"), s.checkScopes(d, g)
		}})
		if q.Send {
			steps = append(steps, delegation.CheckStep{Name: "read", Run: func(ctx context.Context) (string, error) { return s.checkRead(ctx, d) }})
		}
	}
	delegation.RunChecks(ctx, steps, tell)
}

// checkRead sends the request of the check, and returns the status and the size of the
// answer, never its content.
func (s *source) checkRead(ctx context.Context, d *delegation.Delegation) (string, error) {
	as, err := s.authorize(ctx, d)
	if err != nil {
		return "", err
	}
	rest, ok := s.upstream.CutMount(d.Path) // which authorize has judged
	if !ok {
		return "", delegation.Refuse(delegation.RouteDenied, errors.New("the path names a source and nothing below it"))
	}
	address := s.upstream.Scheme + "://" + s.upstream.Host + s.upstream.Prefix + rest
	if _, query, _ := strings.Cut(d.URI, "?"); query != "" {
		address += "?" + query
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", errors.New("the request cannot be made: check the path of --route")
	}
	if err := as.Apply(req); err != nil {
		return "", err
	}
	host := sourceHost{client: s.client}
	switch a, err := host.do(req); {
	case err != nil:
		return "", unreachable("the API", err)
	case a.status == http.StatusUnauthorized:
		return "", errors.New("status 401: the vendor does not accept the access token, or not for this route")
	case a.status >= http.StatusBadRequest:
		return "", errors.New(delegation.StatusCause(a.status))
	case a.isTooLarge:
		return fmt.Sprintf("status %d, more than %d bytes", a.status, maxAnswer), nil
	default:
		return fmt.Sprintf("status %d, %d bytes", a.status, len(a.body)), nil
	}
}

// checks are the protocol's steps under the name of the source.
func (s *source) checks() []delegation.CheckStep {
	steps := s.protocol.checks()
	for i := range steps {
		steps[i].Name = s.config.Name + " " + steps[i].Name
	}
	return steps
}

// checks implements [protocol].
func (p *oauth2Source) checks() []delegation.CheckStep {
	return []delegation.CheckStep{{Name: "client", Run: p.checkClient}}
}

// page implements [protocol].
func (p *oauth2Source) page(ctx context.Context) (*url.URL, url.Values, error) {
	e, err := p.find(ctx)
	if err != nil {
		return nil, nil, err
	}
	return e.authorize, url.Values{"response_type": {"code"}, "client_id": {p.config.ClientID}, "state": {rand.Text()}}, nil
}

// checkPage asks for the vendor's page as a browser would that has lost its way: there
// has to be one. Browsers open it, and this machine need not reach it.
func (s *source) checkPage(ctx context.Context) (string, error) {
	page, query, err := s.protocol.page(ctx)
	if err != nil {
		return "", err
	}
	u := *page
	all := u.Query()
	maps.Copy(all, query)
	u.RawQuery = all.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", errors.New("the address of auth_url cannot be made")
	}
	req.Header["Accept"] = []string{"text/html"}
	where := delegation.PrintableOrigin(page)
	host := sourceHost{client: s.client}
	a, err := host.doUpTo(req, 0)
	switch {
	case err != nil:
		return "", &delegation.CheckWarning{Detail: fmt.Sprintf("%s cannot be reached from here: %v: people's browsers open it, so that only they need to; else correct auth_host_url or auth_url", where, err)}
	case a.status == http.StatusNotFound, a.status == http.StatusGone:
		return "", fmt.Errorf("there is no page at %s, which answers with status %d: correct auth_url", where, a.status)
	case a.status >= http.StatusInternalServerError:
		return "", &delegation.CheckWarning{Detail: fmt.Sprintf("the page of %s answers with status %d: it fails by itself, or without the parameters of somebody who connects", where, a.status)}
	default:
		return fmt.Sprintf("auth_url answers with status %d to nobody's request", a.status), nil
	}
}

// checkClient exchanges a code that nobody has: the vendor has to refuse it, and not
// the client.
func (p *oauth2Source) checkClient(ctx context.Context) (string, error) {
	e, err := p.find(ctx)
	if err != nil {
		return "", err
	}
	const nowhere = "https://app.invalid/return"
	form := make(url.Values)
	setParams(form, p.config.TokenParams, nowhere)
	form.Set("grant_type", "authorization_code")
	form.Set("code", "check-"+rand.Text())
	form.Set("redirect_uri", nowhere)
	if !p.config.NoPKCE {
		form.Set("code_verifier", rand.Text()+rand.Text())
	}
	_, err = p.requestToken(ctx, e.token, form)
	failed, answered := errors.AsType[*tokenError](err)
	switch {
	case err == nil:
		return "", errors.New("the token endpoint gives a token for a code that nobody has: check the address")
	case answered && failed.kind == grantRefused:
		return fmt.Sprintf("a code that nobody has is refused with status %d, and not the client", failed.status), nil
	case answered && failed.status == http.StatusNotFound, answered && failed.status == http.StatusMethodNotAllowed:
		return "", fmt.Errorf("there is no token endpoint at %s, which answers with status %d: correct access_token_url", delegation.PrintableOrigin(e.token), failed.status)
	case answered && failed.kind == unknownError:
		return fmt.Sprintf("the token endpoint answers with status %d and a word of its own; the first person who connects shows whether it accepts the client", failed.status), nil
	default:
		return "", err
	}
}
