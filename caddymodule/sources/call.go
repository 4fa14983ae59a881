// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// request returns the request of a call, without its authentication. A value is
// escaped for where it stands: as one segment of a path, one parameter of a query or a
// form, or text in a JSON string.
func (c *Call) request(ctx context.Context, values map[string]string) (*http.Request, error) {
	base, query, hasQuery := strings.Cut(c.URL, "?")
	address := fill(base, values, url.PathEscape)
	if hasQuery {
		address += "?" + fill(query, values, url.QueryEscape)
	}
	body, contentType := "", ""
	switch {
	case len(c.Form) > 0:
		form := make(url.Values, len(c.Form))
		for name, value := range c.Form {
			form.Set(name, fill(value, values, func(s string) string { return s }))
		}
		body, contentType = form.Encode(), "application/x-www-form-urlencoded"
	case c.JSON != "":
		body, contentType = fill(c.JSON, values, insideJSON), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, address, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be made") // err has the address, and with it a token
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

// fill returns a text with the values in it by their names, {access} for access. It is
// read once, so that no value is taken for a name.
func fill(text string, values map[string]string, escape func(string) string) string {
	pairs := make([]string, 0, 2*len(values))
	for name, value := range values {
		pairs = append(pairs, "{"+name+"}", escape(value))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// insideJSON returns a value as it stands between the quotes of a JSON string.
func insideJSON(value string) string {
	text, err := json.Marshal(value)
	if err != nil || len(text) < 2 {
		return ""
	}
	return string(text[1 : len(text)-1])
}

// uses reports whether a value is part of the call.
func (c *Call) uses(name string) bool {
	name = "{" + name + "}"
	for _, value := range c.Form {
		if strings.Contains(value, name) {
			return true
		}
	}
	return strings.Contains(c.URL, name) || strings.Contains(c.JSON, name)
}

// accepts reports whether a status counts as done.
func (c *Call) accepts(status int) bool {
	if len(c.OK) == 0 {
		return status/100 == 2
	}
	return slices.Contains(c.OK, status)
}

// sendCall makes a call with the values, authenticated as a protocol does.
type sendCall func(ctx context.Context, call *Call, values map[string]string) (*answer, error)

// afterConnect makes the call without which the vendor has no data; nil: there is none.
func (h *sourceHost) afterConnect(ctx context.Context, call *Call, person delegation.Person, values map[string]string, send sendCall) error {
	if call == nil {
		return nil
	}
	if call.uses("id") {
		id, err := h.grants.PairwiseID(ctx, person)
		if err != nil {
			return err
		}
		values["id"] = id
	}
	const what = "the call after connecting"
	a, err := send(ctx, call, values)
	if err != nil {
		return unreachable(what, err)
	}
	if !call.accepts(a.status) {
		return a.refusal(what)
	}
	return nil
}

// setAPIHeaders sets the headers of data calls on a request to the API's host.
func (c *Config) setAPIHeaders(req *http.Request) {
	for name, value := range c.APIHeaders {
		if hostPort(req.URL) == hostPort(c.API) {
			req.Header.Set(name, value.Reveal())
		}
	}
}

// callValues are the values of a call for a grant.
func (p *oauth2Source) callValues(tokens *delegation.GrantTokens, account string) map[string]string {
	return map[string]string{
		"access": tokens.Access.Reveal(), "refresh": tokens.Refresh.Reveal(), "account": account,
		"client_id": p.config.ClientID, "client_secret": p.config.clientSecret(&p.sourceHost).Reveal(),
	}
}

// send makes a call to the vendor.
func (p *oauth2Source) send(ctx context.Context, call *Call, values map[string]string) (*answer, error) {
	if call.Auth == AuthNonce {
		var err error
		if call, values, err = p.signed(ctx, call, values); err != nil {
			return nil, err
		}
	}
	req, err := call.request(ctx, values)
	if err != nil {
		return nil, err
	}
	switch call.Auth {
	case "bearer":
		req.Header.Set("Authorization", "Bearer "+values["access"])
	case "basic":
		p.setBasic(req)
	}
	p.config.setAPIHeaders(req)
	return p.do(req)
}
