// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// noLine is what the log says in place of a pattern where no line of the policy
// covers a request.
const noLine = "no line"

// patternOf is the pattern of the line that covers a request, for the log: the
// path itself may hold IDs.
func (h *Handler) patternOf(r *http.Request) string {
	if p := passageFrom(r.Context()); p != nil { // which is on its way to the platform
		return h.patternFor(p.delegation.Method, p.delegation.Path, p.delegation.Upgrade)
	}
	path, err := policy.Canonical(r.URL.EscapedPath())
	if err != nil {
		return noLine
	}
	method, upgrade := asked(r)
	return h.patternFor(method, path, upgrade)
}

func (h *Handler) patternFor(method, path string, upgrade bool) string {
	if pattern, ok := h.table.Pattern(method, path, upgrade); ok {
		return pattern
	}
	return noLine
}
