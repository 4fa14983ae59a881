// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"go.uber.org/zap"
)

// TestServeScript protects pages that load connect.js: it is a script to a browser
// that takes types at their word, also in a page of a trusted origin, it is asked
// for again each time, and sent only if it has changed; and it is no service worker,
// which would answer for the app.
func TestServeScript(t *testing.T) {
	c := &Connect{ProviderDirective: ProviderDirective{Provider: "p", Directive: Directive{refusals: refuser{statusName: "x", logger: zap.NewNop(), stats: newRefusalStats(zap.NewNop())}}}}
	ask := func(method string, header ...string) *http.Response {
		r, w := httptest.NewRequest(method, scriptPath, nil), httptest.NewRecorder()
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w.Header().Set("X-Content-Type-Options", "nosniff") // as ServeHTTP
		if err := c.serveScript(w, r); err != nil {
			t.Fatal(err)
		}
		return w.Result()
	}
	got := ask(http.MethodGet)
	for name, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Resource-Policy": "cross-origin", "Content-Length": strconv.Itoa(len(connectScript)),
	} {
		if value := got.Header.Get(name); got.StatusCode != http.StatusOK || value != want {
			t.Errorf("%d, %s: %q", got.StatusCode, name, value)
		}
	}
	if again := ask(http.MethodGet, "If-None-Match", got.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %d", again.StatusCode)
	}
	if other := ask(http.MethodGet, "If-None-Match", `"other"`); other.StatusCode != http.StatusOK {
		t.Errorf("another before: %d", other.StatusCode)
	}
	if head := ask(http.MethodHead); head.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d", head.StatusCode)
	}
	if worker := ask(http.MethodGet, "Service-Worker", "script"); worker.StatusCode != http.StatusForbidden {
		t.Errorf("as a service worker: %d", worker.StatusCode)
	}
	if post := ask(http.MethodPost); post.StatusCode != http.StatusMethodNotAllowed || post.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", post.StatusCode, post.Header.Get("Allow"))
	}
}
