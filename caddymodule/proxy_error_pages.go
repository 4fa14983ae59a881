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

// errorPageWriter gives the transport's refusals to the site's handle_errors. In
// the transport they are responses, because reverse_proxy would count errors
// against the upstream; here they become errors, like all other refusals.
type errorPageWriter struct {
	http.ResponseWriter
	request *http.Request
	proxied *proxiedRequest
	refusal *delegation.Refusal // held back; nil: everything is passed on
}

// forErrorPages returns w, or for a site with handle_errors an [errorPageWriter].
func (p *proxiedRequest) forErrorPages(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || srv.Errors == nil {
		return w
	}
	return &errorPageWriter{ResponseWriter: w, request: r, proxied: p}
}

// WriteHeader passes everything on but a refusal, which it holds back. What the
// routes of handle_response have made of a refusal is theirs, and has no
// Proxy-Status.
func (w *errorPageWriter) WriteHeader(status int) {
	if w.refusal != nil {
		return
	}
	if r := w.proxied.refusal; r != nil && r.Status() == status && w.Header().Get("Proxy-Status") != "" && hasErrorRoutes(w.request) {
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

// FlushError implements the flush of [http.ResponseController]. Nothing of a
// refusal is sent.
func (w *errorPageWriter) FlushError() error {
	if w.refusal != nil {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap returns the writer below, for [http.ResponseController].
func (w *errorPageWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// caughtRefusal returns the refusal that w has held back, as the error for
// handle_errors; nil if there is none.
func caughtRefusal(w http.ResponseWriter) error {
	pages, ok := w.(*errorPageWriter)
	if !ok || pages.refusal == nil {
		return nil
	}
	h := pages.Header()
	for _, name := range [...]string{"Content-Type", "Content-Length", "Via"} { // of the response that it was
		delete(h, name)
	}
	// The policy of the response as well, but not what the site has set for all
	// its pages.
	const policy = "Content-Security-Policy"
	if h[policy] = slices.DeleteFunc(h[policy], func(value string) bool { return value == headers.OwnPolicy }); len(h[policy]) == 0 {
		delete(h, policy)
	}
	return caddyhttp.Error(pages.refusal.Status(), errors.New(string(pages.refusal.Code)))
}
