// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// noMatchingLine is what the log says in place of a pattern where no line of the policy
// covers a request.
const noMatchingLine = "no line"

// loggedPattern is the pattern of the line that covers a request, for the log: the
// path itself may hold IDs.
func (h *Handler) loggedPattern(r *http.Request) string {
	if p := proxiedRequestFrom(r.Context()); p != nil { // which is on its way to the platform
		return h.matchingPattern(p.delegation.Method, p.delegation.Path, p.delegation.Upgrade)
	}
	path, err := policy.Canonical(r.URL.EscapedPath())
	if err != nil {
		return noMatchingLine
	}
	method, upgrade := wireMethod(r)
	return h.matchingPattern(method, path, upgrade)
}

func (h *Handler) matchingPattern(method, path string, upgrade bool) string {
	if pattern, ok := h.table.Pattern(method, path, upgrade); ok {
		return pattern
	}
	return noMatchingLine
}
