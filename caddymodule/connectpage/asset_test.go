// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestServeAsset protects pages and their browsers: each file is of its type to a
// browser that takes types at their word, asked for again each time and sent only if
// it has changed; only connect.js is for pages of other origins.
func TestServeAsset(t *testing.T) {
	for path, want := range map[string][2]string{
		"/connect.js": {"text/javascript; charset=utf-8", "cross-origin"},
		"/page.js":    {"text/javascript; charset=utf-8", "same-origin"},
		"/style.css":  {"text/css; charset=utf-8", "same-origin"},
	} {
		r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
		if !ServeAsset(w, r, path) {
			t.Fatalf("%s is not served", path)
		}
		h := w.Header()
		if w.Code != 200 || h.Get("Content-Type") != want[0] || h.Get("Cross-Origin-Resource-Policy") != want[1] ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(w.Body.String(), "/") {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		r.Header.Set("If-None-Match", h.Get("ETag"))
		w = httptest.NewRecorder()
		if ServeAsset(w, r, path); w.Code != 304 {
			t.Errorf("%s again: %d", path, w.Code)
		}
	}
	if w := httptest.NewRecorder(); ServeAsset(w, httptest.NewRequest("GET", "/", nil), "/pages/error.html") || len(w.Header()) > 0 {
		t.Error("a template is served")
	}
}

// TestServeLogoAbuse protects the app's origin from script in a logo that somebody
// opens as a page (T68): the policy sandboxes it, and its type is not guessed.
func TestServeLogoAbuse(t *testing.T) {
	const svg = `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
	w := httptest.NewRecorder()
	ServeLogo(w, httptest.NewRequest("GET", "/logo/lab", nil), []byte(svg), "image/svg+xml")
	for name, want := range map[string]string{
		"Content-Type": "image/svg+xml", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "cross-origin",
		"Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if w.Code != 200 || w.Body.String() != svg {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
