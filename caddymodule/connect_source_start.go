// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// errStartBody refuses a body of POST /start or /update that cannot be read.
var errStartBody = errors.New("the body may have one member: scopes, a list of strings, or one string with blanks between them; as a form, a field of that name")

// readScopes reads the scopes that the body of POST /start or /update asks for; nil:
// all of the source. The error is route_denied for another body, or a scope beyond
// the source's, body_too_large or body_incomplete.
func (v *connectRequest) readScopes() ([]string, error) {
	body, err := readBody(v.w, v.r)
	if err != nil {
		return nil, err
	}
	scopes, err := parseAskedScopes(body, v.isForm())
	if err != nil {
		return nil, delegation.Refuse(delegation.RouteDenied, err)
	}
	for _, scope := range scopes {
		if !delegation.IsScope(scope) || !v.source.covers(v.source.Scopes, scope) {
			return nil, delegation.Refuse(delegation.RouteDenied, fmt.Errorf("a page asks for a scope that source %s does not have: see the scopes of its block", v.source.name))
		}
	}
	return scopes, nil
}

// parseAskedScopes parses the body of POST /start or /update.
func parseAskedScopes(body []byte, form bool) ([]string, error) {
	if len(body) == 0 {
		return nil, nil
	}
	if form {
		fields, err := url.ParseQuery(string(body))
		if err != nil || len(fields["scopes"]) > 1 {
			return nil, errStartBody
		}
		return strings.Fields(fields.Get("scopes")), nil
	}
	members, err := strictjson.Members(body)
	if err != nil {
		return nil, errStartBody
	}
	text, ok := members["scopes"]
	switch {
	case len(members) == 0:
		return nil, nil
	case !ok || len(members) > 1:
		return nil, errStartBody
	}
	var list []string
	if json.Unmarshal(text, &list) == nil {
		return list, nil
	}
	var joined string
	if json.Unmarshal(text, &joined) != nil {
		return nil, errStartBody
	}
	return strings.Fields(joined), nil
}

// scopesToAsk returns the scopes of a flow that asks for some. A vendor takes what it
// is asked for in place of what was granted before: an update asks for that as well,
// so that more does not become less.
func (v *connectRequest) scopesToAsk(asked []string, update bool) ([]string, error) {
	if !update || len(asked) == 0 {
		return asked, nil
	}
	grant, err := v.source.consents.Get(v.r.Context(), v.owner)
	if err != nil {
		return nil, err
	}
	if grant.Scopes == nil {
		return nil, nil // what it was is not known: all of the source
	}
	all := []string{} // not nil: that would be an unknown grant
	for _, scope := range grant.Scopes {
		if v.source.covers(v.source.Scopes, scope) {
			all = append(all, scope)
		}
	}
	return append(all, consent.MissingScopes(all, asked, v.source.covers)...), nil
}
