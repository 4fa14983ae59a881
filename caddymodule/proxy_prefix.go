// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// The two ways of a path and its policy to miss each other by a prefix.
var (
	errPrefixLeft     = errors.New("a line covers it without its first segment: write handle_path, which takes the prefix off, where handle stands")
	errPrefixTwice    = errors.New("a line covers it without its first segment, and a prefix is off already: the page's base URL may have it twice")
	errPrefixExpected = errors.New("a line covers it with the prefix that handle_path has taken off: write the patterns of `allow` without")
)

// missedByPrefix adds to the cause of a route_denied that a line would cover the
// path with a prefix more or less. The request stays refused, and the client
// learns nothing of it.
func missedByPrefix(table *policy.Table, r *http.Request, denied error, d *delegation.Delegation) error {
	refusal, ok := errors.AsType[*delegation.Refusal](denied)
	if !ok || refusal.Code != delegation.RouteDenied || d.Upgrade {
		return denied
	}
	path := d.Path
	covers := func(path string) bool {
		_, err := table.Match(d.Method, path, false)
		return err == nil
	}
	why, stripped := error(nil), false
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		received, err := policy.Canonical(original.URL.EscapedPath())
		if stripped = err == nil && received != path; stripped && covers(received) {
			why = errPrefixExpected
		}
	}
	if _, rest, more := strings.Cut(strings.TrimPrefix(path, "/"), "/"); why == nil && more && covers("/"+rest) {
		if why = errPrefixLeft; stripped {
			why = errPrefixTwice
		}
	}
	if why == nil {
		return denied
	}
	return delegation.Refuse(refusal.Code, fmt.Errorf("%w; %w", refusal.Unwrap(), why))
}
