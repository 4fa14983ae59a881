// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// errorPageWriter gives refusals that the transport has made to the site's
// handle_errors. They are answers there, because reverse_proxy would count
// errors against the upstream; here they become errors, like all others.
type errorPageWriter struct {
	http.ResponseWriter
	request *http.Request
	proxied *proxiedRequest
	refusal *delegation.Refusal
}

// forErrorPages returns w, or what gives refusals to handle_errors.
func (p *proxiedRequest) forErrorPages(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || srv.Errors == nil {
		return w
	}
	return &errorPageWriter{ResponseWriter: w, request: r, proxied: p}
}

// WriteHeader passes everything on but a refusal. What the routes of
// handle_response have made of one is theirs, and has no Proxy-Status.
func (w *errorPageWriter) WriteHeader(status int) {
	if w.refusal != nil {
		return
	}
	if r := w.proxied.transportRefusal; r != nil && r.Status() == status && w.Header().Get("Proxy-Status") != "" && hasErrorRoutes(w.request) {
		w.refusal = r
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *errorPageWriter) Write(data []byte) (int, error) {
	if w.refusal != nil {
		return len(data), nil
	}
	return w.ResponseWriter.Write(data)
}

// FlushError has nothing sent of a refusal.
func (w *errorPageWriter) FlushError() error {
	if w.refusal != nil {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (w *errorPageWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// caughtRefusal is the error for handle_errors, if there is one.
func caughtRefusal(w http.ResponseWriter) error {
	pages, ok := w.(*errorPageWriter)
	if !ok || pages.refusal == nil {
		return nil
	}
	h := pages.Header()
	for _, name := range [...]string{"Content-Type", "Content-Length", "Via"} { // of the answer that it was
		delete(h, name)
	}
	// So is the policy, but not what the site has set for all its pages.
	const policy = "Content-Security-Policy"
	if h[policy] = slices.DeleteFunc(h[policy], func(value string) bool { return value == headers.OwnPolicy }); len(h[policy]) == 0 {
		delete(h, policy)
	}
	return caddyhttp.Error(pages.refusal.Status(), errors.New(string(pages.refusal.Code)))
}
