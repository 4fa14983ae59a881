// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"

	"golang.org/x/net/http/httpguts"
)

// WireMethod returns the method by which a request is sent to a platform, and
// reports whether it is a WebSocket handshake: over HTTP/1.1 (RFC 6455), or by an
// extended CONNECT (RFC 8441, RFC 9220), which reverse_proxy sends on as a GET.
// Any other protocol is not an upgrade here: its header does not cross.
func WireMethod(r *http.Request) (method string, upgrade bool) {
	if r.Method == http.MethodConnect {
		if r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket" {
			return http.MethodGet, true
		}
		return r.Method, false
	}
	return r.Method, httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket")
}
