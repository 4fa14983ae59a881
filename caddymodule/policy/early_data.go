// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// CheckEarlyData refuses, with too_early, a request that changes something and came
// before the TLS handshake was complete, as the connection or the header
// Early-Data of a proxy in front says (RFC 8470): whoever recorded it could send
// it again. upgrade counts as a change.
func CheckEarlyData(r *http.Request, upgrade bool) *delegation.Refusal {
	// 1 is the only value there is; others, or several, mean the same (section 5.1).
	early := r.TLS != nil && !r.TLS.HandshakeComplete || len(r.Header["Early-Data"]) > 0
	if !early || !upgrade && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions) {
		return nil
	}
	return delegation.Refuse(delegation.TooEarly, nil)
}
