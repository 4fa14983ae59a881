// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// connectSource is what people connect at a delegate_connect: one of the provider's
// data sources, or the platform of a provider without sources, whose name as a source
// is empty.
type connectSource struct {
	*providerSource // nil for a provider without sources

	name     string
	consents *grants.Consents
	apiBase  string // the address of the source's API

	// cookie has the flows of a browser, without its value. Each source has one of
	// its own: flows that two tabs begin at the same time keep their browser tokens,
	// and a state of another source is never looked for.
	cookie http.Cookie
}

// provisionSources sets what people can connect.
func (c *Connect) provisionSources() error {
	secure := c.baseURL.Scheme == "https"
	cookie := consent.HTTPCookie(c.Provider, "", secure)
	if err := cookie.Valid(); err != nil {
		return fmt.Errorf("provider %q: its name is part of a cookie's: take letters, digits, - and _", c.Provider)
	}
	if !c.provider.hasSources() {
		c.own = &connectSource{consents: c.provider.consents, cookie: cookie}
		return nil
	}
	for _, s := range c.provider.sources {
		if slices.Contains(endpointWords, s.Name) {
			return fmt.Errorf("source %s: delegate_connect has an endpoint of that name: name the source otherwise", s.Name)
		}
		c.sources = append(c.sources, &connectSource{
			providerSource: s, name: s.Name, consents: s.consents, apiBase: c.apiBaseOf(s.Name),
			cookie: consent.HTTPCookie(c.Provider, s.Name, secure),
		})
	}
	return nil
}

// apiBaseOf returns the address of a source's API; empty if its module does not tell.
func (c *Connect) apiBaseOf(source string) string {
	upstream, err := c.provider.Upstream(&delegation.Delegation{Provider: c.Provider, Source: source, Method: http.MethodGet, Path: "/" + source + "/"})
	if err != nil || upstream.Host == "" {
		return ""
	}
	return upstream.Scheme + "://" + upstream.Host + upstream.Prefix
}

// hasSources reports whether people connect data sources here.
func (c *Connect) hasSources() bool { return c.own == nil }

// sourceNamed returns the source of a name; nil if there is none.
func (c *Connect) sourceNamed(name string) *connectSource {
	for _, s := range c.sources { // a handful
		if s.name == name {
			return s
		}
	}
	return nil
}

// endpointPath returns the path of an endpoint for the source, such as
// /return/withings.
func (s *connectSource) endpointPath(endpoint string) string {
	if s.name == "" {
		return endpoint
	}
	return endpoint + "/" + s.name
}

// hasEnded reports whether the vendor has ended the source.
func (s *connectSource) hasEnded() bool {
	return s.providerSource != nil && !s.Ended.IsZero() && !s.Ended.After(time.Now())
}

// missingScopes returns those of the source's scopes that granted ones do not cover.
func (s *connectSource) missingScopes(granted []string) []string {
	return consent.MissingScopes(granted, s.Scopes, s.covers)
}

// errEnded refuses a flow for a source that has ended.
var errEnded = delegation.Refuse(delegation.RouteDenied, errors.New("the vendor has ended this source: nobody can connect it any more")).
	WithMessage("This source has ended.")

// at returns the same request as one for a source.
func (v *connectRequest) at(s *connectSource) *connectRequest {
	of := *v
	of.source, of.cookieValue = s, ""
	return &of
}

// selected returns the sources that a request is for: the one in its path, or all.
func (v *connectRequest) selected() []*connectSource {
	if v.source != nil {
		return []*connectSource{v.source}
	}
	return v.sources
}

// sourceName returns the name of the source that a request is for, for logs and
// metrics; empty for all, and for a provider without sources.
func (v *connectRequest) sourceName() string {
	if v.source == nil {
		return ""
	}
	return v.source.name
}

// refusedRequest is [Directive.refusedRequest] with the source.
func (v *connectRequest) refusedRequest() refusedRequest {
	refused := v.Connect.refusedRequest(v.r)
	refused.source = v.sourceName()
	return refused
}

// refuse answers the request with err's refusal.
func (v *connectRequest) refuse(err error) error {
	return v.refusals.refuse(v.w, v.refusedRequest(), err)
}

// recordRefusal counts and logs err's refusal of a request that has another response.
func (v *connectRequest) recordRefusal(err error) *delegation.Refusal {
	return v.refusals.record(v.refusedRequest(), err)
}
