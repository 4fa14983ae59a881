// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"mime"
	"net/http"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// APIRefused is a member of an answer in JSON, and its values that say that the token is
// not accepted. Some vendors answer with status 200 whatever happens; without this
// nobody would be asked to connect again.
type APIRefused struct {
	// Member is the path of the member, with dots between names.
	Member string
	// Values are texts, or numbers as they are written.
	Values []string
}

// in reports whether an answer on its way to the client refuses the token. An answer of
// more than 4 KiB is data: such a refusal is short.
func (r *APIRefused) in(res *http.Response) bool {
	if r == nil || res.StatusCode/100 != 2 || res.ContentLength > maxPeek {
		return false
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "application/json" && kind != "text/json" && kind != "text/plain" {
		return false
	}
	body, whole := peek(res)
	return whole && r.matches(body)
}

// matches reports whether a body refuses the token.
func (r *APIRefused) matches(body []byte) bool {
	if r == nil {
		return false
	}
	all, err := strictjson.Decode(body)
	if err != nil {
		return false
	}
	value, ok := textAt(all, r.Member)
	return ok && slices.Contains(r.Values, value)
}
