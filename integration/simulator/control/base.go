// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"net/http"
)

type baseKey struct{}

// At has h answer as if clients reached it at base, which has no slash at its
// end: something in front of it may end TLS, or it may play another host.
func At(base string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), baseKey{}, base)))
	})
}

// Base is the address at which the client reached the simulator.
func Base(r *http.Request) string {
	if base, ok := r.Context().Value(baseKey{}).(string); ok {
		return base
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
