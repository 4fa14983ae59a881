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
var errStartBody = errors.New("the body may have the members scopes, a list of strings, or one string with blanks between them; client, native or other_site; and with that then, an address; as a form, a field scopes")

// readSourceStart reads what the body of POST /start or /update asks for; no scopes:
// all of the source. The error is route_denied for another body, a scope beyond the
// source's or an address beyond those of then_native, body_too_large or
// body_incomplete.
func (v *connectRequest) readSourceStart() (asked startBody, err error) {
	body, err := readBody(v.w, v.r)
	if err != nil {
		return asked, err
	}
	if asked, err = parseSourceStart(body, v.isForm()); err != nil {
		return asked, delegation.Refuse(delegation.RouteDenied, err)
	}
	if asked.client != "" {
		if asked.then, err = v.appOf(asked.client, asked.then); err != nil {
			return asked, err
		}
	}
	for _, scope := range asked.scopes {
		if !delegation.IsScope(scope) || !v.source.covers(v.source.Scopes, scope) {
			return asked, delegation.Refuse(delegation.RouteDenied, fmt.Errorf("a page asks for a scope that source %s does not have: see the scopes of its block", v.source.name))
		}
	}
	return asked, nil
}

// parseSourceStart parses the body of POST /start or /update. What is not known is an
// error: a misread body would ask for everything, or in the wrong browser.
func parseSourceStart(body []byte, form bool) (asked startBody, err error) {
	if len(body) == 0 {
		return asked, nil
	}
	if form {
		fields, err := url.ParseQuery(string(body))
		if err != nil || len(fields["scopes"]) > 1 || fields.Has("client") || fields.Has("then") {
			return asked, errStartBody
		}
		asked.scopes = strings.Fields(fields.Get("scopes"))
		return asked, nil
	}
	members, err := strictjson.Members(body)
	if err != nil {
		return asked, errStartBody
	}
	for name, text := range members {
		switch name {
		case "scopes":
			asked.scopes, err = parseAskedScopes(text)
		case "client":
			if err = json.Unmarshal(text, &asked.client); asked.client != nativeClient && asked.client != otherSiteClient {
				err = errStartBody
			}
		case "then":
			if err = json.Unmarshal(text, &asked.then); asked.then == "" {
				err = errStartBody
			}
		default:
			err = errStartBody
		}
		if err != nil {
			return startBody{}, errStartBody
		}
	}
	if asked.then != "" && asked.client == "" {
		return startBody{}, errStartBody
	}
	return asked, nil
}

// parseAskedScopes parses a list of scopes, or one text with blanks between them.
func parseAskedScopes(text []byte) ([]string, error) {
	var list []string
	if json.Unmarshal(text, &list) == nil {
		return list, nil
	}
	var joined string
	if err := json.Unmarshal(text, &joined); err != nil {
		return nil, err
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
